"""Back-pressure: who is told to come again later, because what was taken in before is not graded yet.

Postgres is asked once a second, or more seldom when that takes long, whatever comes in meanwhile; requests look at what
was found. Nobody is turned away for what was not found out: an outage of Postgres has its own reply.
"""

import asyncio
import math
import time

from anyio import CapacityLimiter, to_thread
from sqlalchemy import Engine

from api.outages import reason
from api.problems import ProblemError
from db import backlog, transactions
from telemetry import logging, metrics

log = logging.get(__name__)

PERIOD = 1.0
"""Seconds between two looks, at least."""
SHARE = 0.05
"""Of the time that looking takes at most, unless that would take longer pauses than `PAUSE`."""
PAUSE = 10.0
"""Seconds between two looks, at most: so long a lane may be refused that lags no more."""
LIMIT = {"statement_timeout": "10s"}
RATE_OVER = 10.0
"""Seconds over which the rate is measured at which batches are graded."""
PATIENCE = 2.0
"""Seconds that the last look may take when the process ends."""
LONGEST = 300
"""Seconds that anybody is told to wait, at most: by then much may have changed."""


class Backlog:
    """Looks at what waits, and refuses what would wait too long behind it.

    Args:
        age: seconds that the oldest due batch of a project and lane may have waited; 0 for any time.
        room: bytes of bodies that may wait in all, those in backoff too; 0 for any number.
    """

    def __init__(self, engine: Engine, *, age: float, room: int) -> None:
        self._engine = engine
        self._age = age
        self._room = room
        self._late: dict[tuple[int, str], int] = {}
        self._full: int | None = None
        self._looking: asyncio.Task[None] | None = None
        self._thread = CapacityLimiter(1)
        """Its own: those of requests may all wait for slow reads."""

    def check(self, project_id: int, lane: str) -> None:
        """Let a batch in, or not.

        Raises:
            ProblemError: 429, with the seconds after which what waits now will be graded at the present rate.
        """
        if self._full is not None:
            raise _refusal("room", "As much waits to be graded as there is room for.", self._full)
        seconds = self._late.get((project_id, lane))
        if seconds is not None:
            raise _refusal("age", f"The {lane} lane of this project has waited for too long.", seconds)

    def start(self) -> None:
        """Begin to look; belongs into the event loop of those who ask."""
        if self._age or self._room:
            self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """Look no longer; a look that is under way is waited for, so that it leaves no connection open."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking], timeout=PATIENCE)

    async def _look(self) -> None:
        while True:
            began = time.monotonic()
            try:
                self._late, self._full = await to_thread.run_sync(self._find, limiter=self._thread)
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody is to be refused for ever
                log.warning("backlog unknown", error=reason(error))
                self._late, self._full = {}, None
            await asyncio.sleep(min(PAUSE, max(PERIOD, (time.monotonic() - began) / SHARE)))

    def _find(self) -> tuple[dict[tuple[int, str], int], int | None]:
        """Seconds to wait by project and lane that are late, and for everybody if there is no room."""
        with transactions.begun(self._engine, LIMIT) as connection:
            doors = backlog.waiting(connection)
            full = bool(self._room) and sum(door.bytes for door in doors) >= self._room
            late = [door for door in doors if self._age and door.oldest > self._age]
            graded = {
                door: backlog.graded(connection, door.project_id, door.lane, seconds=RATE_OVER)
                for door in (doors if full else late)
            }
        everybody = None
        if full:
            oldest = max(door.oldest for door in doors)
            everybody = _drained(sum(door.batches for door in doors), sum(graded.values()), oldest)
        return {(door.project_id, door.lane): _drained(door.due, graded[door], door.oldest) for door in late}, everybody


def _drained(waiting: int, graded: int, oldest: float) -> int:
    """Seconds until so many batches are graded at the rate of late; as long as they have waited if none was."""
    seconds = waiting * RATE_OVER / graded if graded else oldest
    return min(LONGEST, max(1, math.ceil(seconds)))


def _refusal(limit: str, detail: str, seconds: int) -> ProblemError:
    metrics.BATCHES_REFUSED.labels(limit).inc()
    return ProblemError(429, detail, headers={"Retry-After": str(seconds)})
