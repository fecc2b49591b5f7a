"""Group commit: the batches that wait at one moment go into Postgres in one transaction."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from api.outages import is_outage, reason
from api.problems import unavailable
from api.room import Room
from db import batches
from db.batches import Accepted, NewBatch
from db.line import Line
from telemetry import crashpoints, logging, metrics

log = logging.get(__name__)

MAX_BATCHES = 64
MAX_BYTES = 16 * 2**20
"""Of one transaction."""
PACE = 0.010
"""Seconds from the start of one transaction to that of the next, at least: who comes alone waits for nothing, and many
share what a transaction costs."""
CAPACITY = 8 * MAX_BYTES
"""Bytes that may wait; beyond, a POST is turned away at once."""

_Outcome = Accepted | Exception


@dataclass(frozen=True, slots=True)
class _Waiting:
    batch: NewBatch
    tenant_id: int
    future: "asyncio.Future[Accepted]"


class Writer:
    """Accepts batches in groups, one group at a time, in the event loop of those who wait.

    Args:
        line: nobody else's.
        committed: told project and lane of new batches once they are safe; must not block.
        patience: seconds that a commit may take. Then all who wait are turned away, and so is, at once, whoever comes
            until Postgres has answered.
    """

    def __init__(self, line: Line, committed: Callable[[int, str], None], *, patience: float) -> None:
        self._line = line
        self._committed = committed
        self._patience = patience
        self._queue: deque[_Waiting] = deque()
        self._room = Room(CAPACITY)
        self._stopping = False
        self._hanging = False
        self._flushing: asyncio.Task[None] | None = None
        self._next_at = 0.0

    async def accept(self, batch: NewBatch, tenant_id: int) -> Accepted:
        """Store a tenant's batch; returns once it is committed.

        Raises:
            ProblemError: 503, Postgres is away, hangs, or cannot keep up. A batch whose commit was under way may still
                be committed afterwards: posting it again under its key tells.
            Exception: this very batch cannot be stored.
        """
        if self._hanging:
            raise _silent()
        if self._stopping or not self._room.take(tenant_id, batch.weight):
            raise unavailable("More is being posted than can be stored.")
        waiting = _Waiting(batch, tenant_id, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return await waiting.future

    async def stop(self) -> None:
        """Commit what waits, then end; what Postgres does not take in time is given up."""
        self._stopping = True
        if self._flushing is not None:
            await asyncio.wait([self._flushing], timeout=self._patience)

    async def _flush(self) -> None:
        """Commit until nothing waits."""
        loop = asyncio.get_running_loop()
        try:
            while self._queue:
                await asyncio.sleep(self._next_at - loop.time())
                self._next_at = loop.time() + PACE
                group = self._next()
                start = time.perf_counter()
                limit = loop.call_later(self._patience, self._give_up, group)
                try:
                    outcomes = await self._store_all([waiting.batch for waiting in group])
                finally:
                    limit.cancel()
                    self._hanging = False
                metrics.FLUSH_SECONDS.observe(time.perf_counter() - start)
                metrics.FLUSH_BODIES.observe(len(group))
                for project_id, lane in _doors(group, outcomes):
                    self._committed(project_id, lane)
                crashpoints.reach("batch-rung")
                for waiting, outcome in zip(group, outcomes, strict=True):
                    _settle(waiting, outcome)
        finally:
            self._flushing = None

    def _give_up(self, group: Sequence[_Waiting]) -> None:
        """Let nobody wait for a Postgres that does not answer."""
        log.warning("postgres does not answer", batches=len(group) + len(self._queue))
        self._hanging = True
        for waiting in group:
            _settle(waiting, _silent())
        while self._queue:
            _settle(self._pop(), _silent())

    def _next(self) -> list[_Waiting]:
        """Whatever waits, up to the limits."""
        group: list[_Waiting] = []
        size = 0
        while self._queue and len(group) < MAX_BATCHES and size < MAX_BYTES:
            waiting = self._pop()
            if not waiting.future.done():  # done: its caller has given up
                group.append(waiting)
                size += waiting.batch.weight
        return group

    def _pop(self) -> _Waiting:
        waiting = self._queue.popleft()
        self._room.give_back(waiting.tenant_id, waiting.batch.weight)
        return waiting

    async def _store_all(self, group: Sequence[NewBatch]) -> Sequence[_Outcome]:
        """What became of each batch."""
        try:
            return await self._store(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must end neither the loop nor a stranger's batch
            if is_outage(error):
                log.warning("cannot store batches", batches=len(group), error=reason(error))
                return [unavailable("The database cannot be reached.") for _ in group]
            if len(group) == 1:
                return [error]
            log.warning("storing batches one by one", batches=len(group), error=reason(error))
        outcomes: list[_Outcome] = []
        for batch in group:  # one bad row harms no stranger
            outcomes.extend(await self._store_all([batch]))
        return outcomes

    async def _store(self, group: Sequence[NewBatch]) -> Sequence[Accepted]:
        try:
            return await self._attempt(group)
        except DBAPIError as error:
            if not is_outage(error):
                raise
        return await self._attempt(group)  # the server may be back already

    async def _attempt(self, group: Sequence[NewBatch]) -> Sequence[Accepted]:
        crashpoints.reach("batch-before-commit")
        stored = await batches.accept(self._line, group)
        crashpoints.reach("batch-committed")
        return stored


def _doors(group: Sequence[_Waiting], outcomes: Sequence[_Outcome]) -> set[tuple[int, str]]:
    """Project and lane of what is new, each once: telling of it wakes a thread.

    Compared by reply, not by `new`: after a lost connection the batch may turn out to be in already.
    """
    return {
        (waiting.batch.project_id, waiting.batch.lane)
        for waiting, outcome in zip(group, outcomes, strict=True)
        if isinstance(outcome, Accepted) and outcome.reply == waiting.batch.reply
    }


def _silent() -> Exception:
    return unavailable("The database does not answer.")


def _settle(waiting: _Waiting, outcome: _Outcome) -> None:
    if waiting.future.done():
        return
    if isinstance(outcome, Accepted):
        waiting.future.set_result(outcome)
    else:
        waiting.future.set_exception(outcome)
