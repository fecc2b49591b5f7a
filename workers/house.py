"""Housekeeping: partitions for the bodies of the coming days, and an end to what nobody needs any more.

Any number may try; one at a time does what changes anything. Its lock is not the sweep's, which must not wait for it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from db import history, payloads, transactions
from telemetry import crashpoints, logging
from workers.runtime import Runtime

log = logging.get(__name__)

ADVISORY_LOCK = 0x686F757365
AGAIN = 3600.0
"""Seconds until a day is looked through again that could not be dropped."""
LOOK = {"statement_timeout": "20s"}
CANCELED = "57014"
"""The SQLSTATE of a statement that took too long."""


def keep(runtime: Runtime) -> None:
    """Make the partitions of the coming days, drop those that nothing needs any more, and old history."""
    _keep_payloads(runtime)
    if runtime.settings.history_days is not None:
        _keep_history(runtime, runtime.settings.history_days)


def _keep_payloads(runtime: Runtime) -> None:
    """Partitions come and go under a lock that the edge and all claims wait for: nothing is looked through under it."""
    settings = runtime.settings
    with _briefly(runtime) as connection:
        if not transactions.alone(connection, ADVISORY_LOCK):
            return
        payloads.make_partitions(connection)
    with runtime.bounded() as connection:
        if not transactions.alone(connection, ADVISORY_LOCK):
            return
        payloads.clear_default(connection, settings.payload_days)
        old = payloads.old(connection, settings.payload_days)
    for day in old:
        if time.monotonic() < runtime.crowded.get(day, 0.0):
            continue
        needed = _needed(runtime, day)
        if needed is None:
            runtime.crowded[day] = time.monotonic() + AGAIN
            continue
        with _briefly(runtime) as connection:
            if not transactions.alone(connection, ADVISORY_LOCK):
                return
            payloads.drop(connection, day, needed)
        log.info("payloads dropped", day=day.isoformat(), kept=len(needed))


def _needed(runtime: Runtime, day: date) -> list[int] | None:
    """The batches of a day that may still need their bodies; None when they are many, or hard to find."""
    try:
        with runtime.bounded(LOOK) as connection:
            return payloads.needed(connection, day)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != CANCELED:
            raise
        log.warning("too much to look through", day=day.isoformat())
        return None


@contextmanager
def _briefly(runtime: Runtime) -> Iterator[Connection]:
    """A transaction that gives up rather than let others queue behind its wait for a lock."""
    with transactions.begun(runtime.engine, transactions.bounds(idle=runtime.settings.lease, lock=0.5)) as connection:
        yield connection
        crashpoints.reach("house-before-commit")


def _keep_history(runtime: Runtime, days: int) -> None:
    with runtime.engine.begin() as connection:
        projects = history.old(connection, days)
    for project_id in projects:
        with runtime.bounded() as connection:
            if not transactions.alone(connection, ADVISORY_LOCK):
                return
            dropped = history.drop(connection, project_id, days)
            crashpoints.reach("history-before-commit")
        if dropped:
            log.info("history dropped", project=project_id, events=dropped)
