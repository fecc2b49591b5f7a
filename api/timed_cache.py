"""A small cache in front of a slow look-up."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

from api.problems import unavailable

RENEWING = 2
"""Threads that load known keys anew at a time, of their own: slow requests keep none of them, strange keys neither."""
STRANGERS = 200
"""Strange keys that are looked for or wait for it, at most; one thread looks for them."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class TimedCache(Generic[Key, Value]):
    """Keeps what `load` returned; whoever asks for the same key at the same time waits for one load.

    A key that was found is known, until others have taken its place. Any other key is strange, and no number of
    strange keys keeps a known one waiting or takes its place.

    Args:
        load: runs in a thread; None where there is nothing. What it raises reaches those who wait and is not kept.
        seconds: how long a value may be used, counted from before it was loaded.
        size: values kept, at most, and as many keys that have none; the oldest go first.
        patience: seconds that a caller waits for a load.
    """

    def __init__(self, load: Callable[[Key], Value], *, seconds: float, size: int, patience: float) -> None:
        self._load = load
        self._seconds = seconds
        self._size = size
        self._patience = patience
        self._found: dict[Key, tuple[float, Value]] = {}
        self._missing: dict[Key, tuple[float, Value]] = {}
        self._loading: dict[Key, asyncio.Task[Value]] = {}
        self._strangers = 0
        self._renewing = CapacityLimiter(RENEWING)
        self._searching = CapacityLimiter(1)

    async def get(self, key: Key) -> Value:
        """The value of a key.

        Raises:
            ProblemError: 503: loading takes too long, or too many strange keys wait for it.
        """
        kept = self._found.get(key) or self._missing.get(key)
        if kept is not None and kept[0] > asyncio.get_running_loop().time():
            return kept[1]
        task = self._loading.get(key) or self._begin(key)
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(task)
        except TimeoutError:
            raise unavailable("The database does not answer.") from None

    def _begin(self, key: Key) -> asyncio.Task[Value]:
        strange = key not in self._found
        if strange and self._strangers >= STRANGERS:
            raise unavailable("Too much is looked for that was not seen before.")
        self._strangers += strange
        task = asyncio.create_task(self._fill(key, self._searching if strange else self._renewing))
        self._loading[key] = task
        task.add_done_callback(partial(self._loaded, key, strange))
        return task

    async def _fill(self, key: Key, threads: CapacityLimiter) -> Value:
        expires = asyncio.get_running_loop().time() + self._seconds
        value = await to_thread.run_sync(self._load, key, limiter=threads, abandon_on_cancel=True)
        self._found.pop(key, None)
        self._missing.pop(key, None)
        kept = self._missing if value is None else self._found
        kept[key] = (expires, value)
        while len(kept) > self._size:
            del kept[next(iter(kept))]
        return value

    def _loaded(self, key: Key, strange: bool, task: asyncio.Task[Value]) -> None:
        del self._loading[key]
        self._strangers -= strange
        if not task.cancelled():
            task.exception()  # seen, even when nobody waits any more
