"""Who waits for grades in this process (`Prefer: wait`), and how they learn that a batch is graded."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager

from anyio import CapacityLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.quota import Quota
from tasks.queues import GRADED
from telemetry import logging, metrics

log = logging.get(__name__)

WAITERS = 1000
"""Requests that wait in this process, at most."""
TENANT_WAITERS = 500
"""Requests of one tenant."""
PULSE = 5.0
"""Seconds of silence after which Redis is asked whether it is there; as many again, and the connection is given up."""
PAUSE = 1.0
"""Seconds between two attempts to connect."""


class Waiters:
    """One connection hears for all who wait. They hold nothing but their place: no thread, no Postgres connection.

    A word that is lost costs its waiter time: at the end of its patience everybody looks for themselves.

    Attributes:
        readers: bounds the threads, and so the connections, that all of them together look with.
    """

    def __init__(self, url: str) -> None:
        self.readers = CapacityLimiter(2)
        self._url = url
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._places = Quota(WAITERS, TENANT_WAITERS, "Too many wait for grades.")
        self._closed = False
        self._hearing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to hear; belongs into the event loop of those who wait."""
        self._hearing = asyncio.create_task(self._hear())

    @contextmanager
    def place(self, batch: str, tenant_id: int) -> Iterator[asyncio.Event | None]:
        """What is set once workers say that the batch is graded, from now on; None when too many wait already."""
        if self._closed or not self._places.free(tenant_id):
            yield None
            return
        graded = asyncio.Event()
        with self._places.place(tenant_id), metrics.WAITERS.track_inprogress():
            self._waiting.setdefault(batch, set()).add(graded)
            try:
                yield graded
            finally:
                self._waiting[batch].discard(graded)
                if not self._waiting[batch]:
                    del self._waiting[batch]

    def close(self) -> None:
        """Let nobody wait any longer; to be called in the event loop."""
        self._closed = True
        self._wake(list(self._waiting))

    async def stop(self) -> None:
        """Close, and hang up."""
        self.close()
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)

    async def _hear(self) -> None:
        while True:
            try:
                await self._listen()
            except (RedisError, OSError, ValueError) as error:  # ValueError: sentinel:// cannot be listened to
                log.warning("cannot hear of graded batches", error=str(error))
            await asyncio.sleep(PAUSE)

    async def _listen(self) -> None:
        client = Redis.from_url(self._url, socket_connect_timeout=PULSE, socket_timeout=PULSE)
        async with aclosing(client), aclosing(client.pubsub()) as channel:
            await channel.subscribe(GRADED)
            asked = False
            while True:
                message = await channel.get_message(timeout=PULSE)
                if message is None and asked:
                    raise TimeoutError("Redis does not answer")
                asked = message is None
                if message is None:
                    await channel.ping()
                elif message["type"] == "message":
                    self._wake(message["data"].decode().split())

    def _wake(self, batches: list[str]) -> None:
        for batch in batches:
            for graded in self._waiting.get(batch, ()):
                graded.set()
