"""The gauges of /metrics that come from the database, read again only when they have aged."""

import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine

from db import ledger, transactions
from db.models.batch import LANES
from telemetry import metrics

ADVISORY_LOCK = 0x6C6564676572
"""One process at a time counts answers."""
BACKLOG_AGE = 5.0
LEDGER_AGE = 60.0
"""Seconds: the ledger counts the answers themselves."""
SHARE = 0.05
"""Of the time that a reading takes at most: what takes long is read more seldom."""
SELDOM = 10
"""Times its age after which it is read again at the latest; a reading is given up that would exceed its share then."""


class Gauges:
    """Sets the gauges. Blocks; while one thread reads, others go on with what was read before, as after an error."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._due: dict[Callable[[Connection], bool], float] = {}

    def refresh(self) -> None:
        """Read what has aged.

        Raises:
            SQLAlchemyError: Postgres is away, or too slow.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._read(_backlog, BACKLOG_AGE)
            self._read(_ledger, LEDGER_AGE)
        finally:
            self._lock.release()

    def _read(self, read: Callable[[Connection], bool], age: float) -> None:
        began = time.monotonic()
        if began < self._due.get(read, 0.0):
            return
        limit = {"statement_timeout": f"{round(1000 * age * SELDOM * SHARE)}ms"}
        done = True
        try:
            with transactions.begun(self._engine, transactions.bounds(idle=age), limit) as connection:
                done = read(connection)
        finally:
            if done:
                now = time.monotonic()
                self._due[read] = now + min(age * SELDOM, max(age, (now - began) / SHARE))


def _backlog(connection: Connection) -> bool:
    found = {row.lane: row for row in ledger.backlog(connection)}
    for lane in LANES:
        row = found.get(lane, ledger.Backlog(lane, 0, 0, 0.0))
        metrics.BATCHES_WAITING.labels(lane).set(row.waiting)
        metrics.OLDEST_WAITING_SECONDS.labels(lane).set(row.oldest)
    return True


def _ledger(connection: Connection) -> bool:
    """Whether it was read: another process may be at it."""
    if not transactions.alone(connection, ADVISORY_LOCK):
        return False
    rows = ledger.read(connection)
    for state in ledger.STATES:
        metrics.ANSWERS.labels(state).set(sum(getattr(row, state) for row in rows))
    return True
