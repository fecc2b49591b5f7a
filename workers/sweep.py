"""The sweep: finds whatever was forgotten and says whom to wake. Any number may try; one at a time does it."""

from db import claims, gold, owed, runs, transactions
from telemetry import crashpoints, logging, metrics
from workers import payment
from workers.runtime import NOTHING_LEFT, Runtime, WorkLeft

log = logging.get(__name__)

ADVISORY_LOCK = 0x737765657
REFIT_PAUSE = 60.0
"""Seconds between two refits of a project that nobody asked for, at least."""
REFIT_REST = 9.0
"""Times as long as a refit took that its project then goes without, unless somebody asks: a tenth of the time."""


def run(runtime: Runtime) -> WorkLeft:
    """End what has expired, ask for refits that are due, list the doors where work waits."""
    settings = runtime.settings
    with runtime.bounded() as connection:
        if not transactions.alone(connection, ADVISORY_LOCK):
            return NOTHING_LEFT
        revived, dead = claims.expire(connection, settings.max_attempts)
        runs.expire(connection, settings.max_attempts)
        for project_id, cause in runs.outgrown(
            connection,
            growth=settings.refit_growth,
            age=settings.refit_after,
            minimum=settings.refit_minimum,
            pause=REFIT_PAUSE,
            rest=REFIT_REST,
        ):
            runs.request(connection, project_id, cause)
        doors = claims.doors(connection, older_than=settings.sweep_interval)
        refits = runs.waiting(connection)
        regrades = gold.waiting(connection)
        owing = [each for each in owed.owing(connection) if not claims.fed(connection, each, seconds=payment.QUIET)]
        crashpoints.reach("sweep-before-commit")
    crashpoints.reach("sweep-committed")
    if revived or dead:
        log.warning("claims expired", waiting=revived, dead=dead)
    if doors or refits or regrades:
        metrics.SWEEPS.inc()
    return WorkLeft(doors=tuple(doors), refits=tuple(refits), regrades=tuple(regrades), revisits=tuple(owing))
