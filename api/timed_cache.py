"""A small cache in front of a slow look-up."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

from api.problems import unavailable

LOADERS = 2
"""Threads that load at a time, of their own: slow requests keep none of them."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class TimedCache(Generic[Key, Value]):
    """Keeps what `load` returned; whoever asks for the same key at the same time waits for one load.

    Args:
        load: runs in a thread; what it raises reaches those who wait and is not kept.
        seconds: how long a value may be used, counted from before it was loaded.
        size: values kept, at most; the oldest go first.
        patience: seconds that a caller waits for a load.
    """

    def __init__(self, load: Callable[[Key], Value], *, seconds: float, size: int, patience: float) -> None:
        self._load = load
        self._seconds = seconds
        self._size = size
        self._patience = patience
        self._values: dict[Key, tuple[float, Value]] = {}
        self._loading: dict[Key, asyncio.Task[Value]] = {}
        self._loaders = CapacityLimiter(LOADERS)

    async def get(self, key: Key) -> Value:
        """The value of a key.

        Raises:
            ProblemError: loading takes too long.
        """
        found = self._values.get(key)
        if found is not None and found[0] > asyncio.get_running_loop().time():
            return found[1]
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.create_task(self._fill(key))
            task.add_done_callback(lambda done: self._loaded(key, done))
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(task)
        except TimeoutError:
            raise unavailable("The database does not answer.") from None

    async def _fill(self, key: Key) -> Value:
        expires = asyncio.get_running_loop().time() + self._seconds
        value = await to_thread.run_sync(self._load, key, limiter=self._loaders)
        self._values.pop(key, None)
        self._values[key] = (expires, value)
        while len(self._values) > self._size:
            del self._values[next(iter(self._values))]
        return value

    def _loaded(self, key: Key, task: asyncio.Task[Value]) -> None:
        del self._loading[key]
        if not task.cancelled():
            task.exception()  # seen, even when nobody waits any more
