"""Group commit: the batches that wait at one moment go into Postgres in one transaction."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

from api.outages import is_outage, reason
from api.problems import unavailable
from db import batches
from db.batches import Accepted, NewBatch
from db.engine import make_engine
from telemetry import crashpoints, logging, metrics

log = logging.get(__name__)

MAX_BATCHES = 64
MAX_BYTES = 16 * 2**20
"""Of one transaction."""
CAPACITY = 4 * MAX_BYTES
"""Bytes that may wait; beyond, a POST is turned away at once."""

_Outcome = Accepted | Exception


@dataclass(frozen=True, slots=True)
class _Waiting:
    batch: NewBatch
    future: "asyncio.Future[Accepted]"


def writer_engine(url: str) -> Engine:
    """An engine of one connection, for a writer."""
    engine = make_engine(url, pool_size=1, name="touchstone-ingest")
    event.listen(engine, "connect", _send_arrays_in_binary)
    return engine


def _send_arrays_in_binary(connection: psycopg.Connection[Any], _record: object) -> None:
    """As text, bodies double in size and cost this process three to five times the processor time."""
    connection.adapters.register_dumper(list, ListBinaryDumper)


class Writer:
    """One thread that accepts batches. Use it from one event loop, between :meth:`start` and :meth:`stop`.

    Args:
        engine: from :func:`writer_engine`; the thread keeps its connection to itself.
        committed: told project and lane of each new batch once it is safe; must not block.
        patience: seconds that a batch waits for its commit.
    """

    def __init__(self, engine: Engine, committed: Callable[[int, str], None], *, patience: float) -> None:
        self._engine = engine
        self._committed = committed
        self._patience = patience
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Begin; belongs into the event loop that will call :meth:`accept`."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def accept(self, batch: NewBatch) -> Accepted:
        """Store a batch; returns once it is committed.

        Raises:
            ProblemError: 503, Postgres is away, hangs, or cannot keep up. A batch whose commit was under way may still
                be committed afterwards: posting it again under its key tells.
            Exception: this very batch cannot be stored.
        """
        waiting = _Waiting(batch, self._loop.create_future())
        with self._changed:
            if self._stopping or self._bytes + len(batch.body) > CAPACITY:
                raise unavailable("More is being posted than can be stored.")
            self._queue.append(waiting)
            self._bytes += len(batch.body)
            self._changed.notify()
        try:
            async with asyncio.timeout(self._patience):
                return await waiting.future
        except TimeoutError:
            raise unavailable("The database does not answer.") from None

    def stop(self, timeout: float) -> None:
        """Commit what waits, then end; blocks for `timeout` seconds at most."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        while group := self._next():
            start = time.perf_counter()
            outcomes = self._store_all([waiting.batch for waiting in group])
            metrics.FLUSH_SECONDS.observe(time.perf_counter() - start)
            metrics.FLUSH_BODIES.observe(len(group))
            for waiting, outcome in zip(group, outcomes, strict=True):
                # Compared by reply, not by `new`: after a lost connection the batch may turn out to be in already.
                if isinstance(outcome, Accepted) and outcome.reply == waiting.batch.reply:
                    self._committed(waiting.batch.project_id, waiting.batch.lane)
            crashpoints.reach("batch-rung")
            self._loop.call_soon_threadsafe(_settle, group, outcomes)

    def _next(self) -> list[_Waiting]:
        """Whatever waits, up to the limits; empty at the end."""
        with self._changed:
            while True:
                group: list[_Waiting] = []
                size = 0
                while self._queue and len(group) < MAX_BATCHES and size < MAX_BYTES:
                    waiting = self._queue.popleft()
                    self._bytes -= len(waiting.batch.body)
                    if not waiting.future.done():  # done: its caller has given up
                        group.append(waiting)
                        size += len(waiting.batch.body)
                if group or (self._stopping and not self._queue):
                    return group
                self._changed.wait()

    def _store_all(self, group: Sequence[NewBatch]) -> Sequence[_Outcome]:
        """What became of each batch."""
        try:
            return self._store(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must end neither the thread nor a stranger's batch
            if is_outage(error):
                log.warning("cannot store batches", batches=len(group), error=reason(error))
                return [unavailable("The database cannot be reached.") for _ in group]
            if len(group) == 1:
                return [error]
            log.warning("storing batches one by one", batches=len(group), error=reason(error))
        outcomes: list[_Outcome] = []
        for batch in group:  # one bad row harms no stranger
            outcomes.extend(self._store_all([batch]))
        return outcomes

    def _store(self, group: Sequence[NewBatch]) -> Sequence[Accepted]:
        try:
            return self._attempt(group)
        except DBAPIError as error:
            if not is_outage(error):
                raise
        return self._attempt(group)  # the server may be back already

    def _attempt(self, group: Sequence[NewBatch]) -> Sequence[Accepted]:
        with self._engine.begin() as connection:
            stored = batches.accept(connection, group)
            crashpoints.reach("batch-before-commit")
        crashpoints.reach("batch-committed")
        return stored


def _settle(group: Sequence[_Waiting], outcomes: Sequence[_Outcome]) -> None:
    for waiting, outcome in zip(group, outcomes, strict=True):
        if waiting.future.done():
            continue
        if isinstance(outcome, Accepted):
            waiting.future.set_result(outcome)
        else:
            waiting.future.set_exception(outcome)
