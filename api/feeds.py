"""Who follows the change feed in this process: how many, and how they learn that there is more."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from anyio import CapacityLimiter, to_thread
from sqlalchemy import Engine

from api.problems import unavailable
from api.quota import Quota
from db import events
from telemetry import metrics

STREAMS = 200
"""Streams in this process, at most."""
TENANT_STREAMS = 50
"""Streams of one tenant, at most."""
REFUSAL = "No more streams can be opened here now. Read the events in pages, or come again."
BEAT = 0.25
"""Seconds between two looks at how far the followed feeds have come."""


class Feeds:
    """One query per beat finds out for all streams which feeds have grown; no stream holds a connection while it waits.

    Attributes:
        closed: streams are to end: the process is about to.
        readers: bounds the threads, and so the connections, that all streams together read with.
    """

    def __init__(self, engine: Engine) -> None:
        self.closed = False
        self.readers = CapacityLimiter(2)
        self._engine = engine
        self._streams = Quota(STREAMS, TENANT_STREAMS, REFUSAL)
        self._waiting: dict[asyncio.Future[bool], tuple[int, int]] = {}
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def stream(self, tenant_id: int) -> Iterator[None]:
        """Count one more stream inside the block.

        Raises:
            ProblemError: there are too many, or the process is about to end.
        """
        if self.closed:
            raise unavailable(REFUSAL)
        with self._streams.place(tenant_id), metrics.STREAMS.track_inprogress():
            yield

    async def grown(self, project_id: int, position: int, patience: float) -> bool:
        """Wait until a project's feed has gone beyond a position; False after `patience` seconds, or when closed.

        Raises:
            SQLAlchemyError: Postgres is away.
        """
        if self.closed:
            return False
        more: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[more] = (project_id, position)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(patience):
                return await more
        except TimeoutError:
            return False
        finally:
            self._waiting.pop(more, None)

    def close(self) -> None:
        """Let every stream end; to be called in the event loop."""
        self.closed = True
        for more in self._waiting:
            if not more.done():
                more.set_result(False)

    async def stop(self) -> None:
        """Close, and wait for the look that is under way."""
        self.close()
        if self._looking is not None:
            await self._looking

    async def _look(self) -> None:
        try:
            while self._waiting:
                projects = sorted({project_id for project_id, _ in self._waiting.values()})
                heads = await to_thread.run_sync(self._heads, projects, limiter=self.readers)
                for more, (project_id, position) in self._waiting.items():
                    if not more.done() and heads.get(project_id, 0) > position:
                        more.set_result(True)
                await asyncio.sleep(BEAT)
        except Exception as error:  # noqa: BLE001 - those who wait must hear of it, whatever it is
            for more in self._waiting:
                if not more.done():
                    more.set_exception(error)
        finally:
            self._looking = None

    def _heads(self, projects: list[int]) -> dict[int, int]:
        with self._engine.begin() as connection:
            return events.heads(connection, projects)
