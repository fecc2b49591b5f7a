"""Paying all that a project's turns owe to its respondents' rows, when nobody is at it who pays as he goes."""

from functools import partial

from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import DBAPIError

from db import claims, owed, projects
from telemetry import crashpoints, logging
from workers import retries, standing, turns
from workers.runtime import Runtime

log = logging.get(__name__)

PATIENCE = 0.05
"""Seconds to wait for the project's turn: whoever has it pays as it goes."""
CHUNK = 1 << 13
"""Respondents that are paid in one turn."""
QUIET = 1.0
"""Seconds without an answer after which nobody will."""


def run(runtime: Runtime, project_id: int) -> None:
    """Pay, `CHUNK` respondents in a turn, unless answers to the project come in."""
    left = 1
    while left:
        with runtime.engine.begin() as connection:
            if not owed.owes(connection, project_id) or claims.fed(connection, project_id, seconds=QUIET):
                return
        try:
            left = retries.through_conflicts(partial(_pay, runtime, project_id), limit=runtime.settings.lease)
        except DBAPIError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            return
        crashpoints.reach("payment-committed")
    log.info("statistics paid", project=project_id)


def _pay(runtime: Runtime, project_id: int) -> int:
    """How many are left."""
    with turns.taken(runtime, project_id, patience=PATIENCE) as turn:
        plan = turn.recall.scheme(projects.grading(turn.connection, project_id), runtime.device)
        left = standing.pay(turn, plan, CHUNK, runtime.device)
        crashpoints.reach("payment-before-commit")
        return left
