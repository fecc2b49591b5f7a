"""The gauges of /metrics that come from the database, read again only when they have aged."""

import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine

from db import ledger
from db.models.batch import LANES
from telemetry import metrics

BACKLOG_AGE = 5.0
LEDGER_AGE = 60.0
"""Seconds: the ledger counts the answers themselves."""


class Gauges:
    """Sets the gauges. Blocks; while one thread reads, others go on with what was read before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._due: dict[Callable[[Connection], None], float] = {}

    def refresh(self) -> None:
        """Read what has aged.

        Raises:
            SQLAlchemyError: Postgres is away.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._read(_backlog, BACKLOG_AGE)
            self._read(_ledger, LEDGER_AGE)
        finally:
            self._lock.release()

    def _read(self, read: Callable[[Connection], None], age: float) -> None:
        if time.monotonic() >= self._due.get(read, 0.0):
            with self._engine.begin() as connection:
                read(connection)
            self._due[read] = time.monotonic() + age


def _backlog(connection: Connection) -> None:
    found = {row.lane: row for row in ledger.backlog(connection)}
    for lane in LANES:
        row = found.get(lane, ledger.Backlog(lane, 0, 0, 0.0))
        metrics.BATCHES_WAITING.labels(lane).set(row.waiting)
        metrics.OLDEST_WAITING_SECONDS.labels(lane).set(row.oldest)


def _ledger(connection: Connection) -> None:
    rows = ledger.read(connection)
    for state in ledger.STATES:
        metrics.ANSWERS.labels(state).set(sum(getattr(row, state) for row in rows))
