"""Numbering the change feed: after every commit that wrote versions, and for whatever was left behind."""

import time

from sqlalchemy.exc import DBAPIError

from db import events, transactions
from telemetry import crashpoints, logging, metrics
from workers import retries
from workers.runtime import Runtime

log = logging.get(__name__)

PATIENCE = 0.2
"""Seconds to wait for another sequencer: numbering takes milliseconds, and may have begun before our commit."""
BUDGET = 1.0
"""Seconds that a sweep spends on what was left behind; the next one goes on."""


def number(runtime: Runtime, project_id: int) -> int:
    """Give a project's committed versions their places in the feed; returns how many.

    To be called after the commit that wrote them. It never raises for the database's sake: what stays unnumbered is in
    the outbox, and the next call or the sweep finds it.
    """
    try:
        with runtime.engine.begin() as connection:
            bounds = transactions.bounds(idle=runtime.settings.lease, lock=PATIENCE)
            transactions.adopt(connection, bounds, transactions.BY_INDEX)
            numbered = events.sequence(connection, project_id)
            crashpoints.reach("feed-before-commit")
    except DBAPIError as error:
        log.info("events wait", project=project_id, reason=retries.line(error))
        return 0
    metrics.EVENTS.inc(numbered)
    return numbered


def catch_up(runtime: Runtime) -> None:
    """Number what was left behind, of every project."""
    with runtime.engine.begin() as connection:
        projects = events.waiting(connection)
    give_up = time.monotonic() + BUDGET
    for project_id in projects:
        while time.monotonic() < give_up and number(runtime, project_id):
            pass
