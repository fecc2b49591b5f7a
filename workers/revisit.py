"""Revisiting: provisional challenges whose respondents have become better known since their answers came.

A claim gives the challenges it touches new posteriors and leaves all others as they are, so what came early was judged
while its respondents were strangers. A round through the provisional challenges of a project, and another while any
moves, brings the live consensus near to where a fit of the same answers would put it.
"""

import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import DBAPIError

from db import claims, consensus, projects
from db.models.batch import LANES
from telemetry import crashpoints, logging
from workers import allowance, payment, retries, revision, standing, turns
from workers.locked import lock
from workers.runtime import Runtime

log = logging.get(__name__)

CHUNK = 200
"""Challenges revisited in one transaction."""
TOLERANCE = 1e-3
"""A probability that moves by less is left as it is: no answer changes for it, and no row is written."""
ROUNDS = 20
"""Rounds after which it is left at that until new answers come."""
PATIENCE = 0.05
"""Seconds to wait for the project's turn: whoever has it does more for the consensus."""
BUDGET = 0.05
"""Seconds of one slice: whoever waits for a grade waits no longer for this."""
PAUSE = 1.0
"""Seconds between two slices of a project while answers come in or wait, at least."""
REST, LONGEST_REST = 5.0, 160.0
"""Seconds until a slice is tried again for which a worker had no leisure: twice as many each time, up to the second."""


@dataclass(frozen=True, slots=True)
class Round:
    """How far a round has come."""

    after: int = 0
    """Challenge id behind which to go on."""
    number: int = 1
    moved: int = 0
    """Challenges that this round has given another posterior."""


def run(runtime: Runtime, project_id: int, round_: Round) -> Round | None:
    """Go on for one slice, unless answers to the project are being graded; None when nothing moves any more.

    What the project's turns owe is paid before, if none have come in for a while.
    """
    with runtime.engine.begin() as connection:
        if claims.held(connection, project_id, *LANES):
            return round_  # what is graded moves more than this would, and would have to be worked out again
    payment.run(runtime, project_id)
    deadline = time.monotonic() + BUDGET
    while time.monotonic() < deadline:
        try:
            visited, moved, last = retries.through_conflicts(
                partial(_visit, runtime, project_id, round_.after), limit=runtime.settings.lease
            )
        except DBAPIError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            break  # somebody else is at it
        round_ = Round(last, round_.number, round_.moved + moved)
        crashpoints.reach("revisit-committed")
        if visited < CHUNK:
            log.info("round of revisits", project=project_id, round=round_.number, moved=round_.moved)
            if round_.moved == 0 or round_.number == ROUNDS:
                return None
            round_ = Round(number=round_.number + 1)
    return round_


def hurried(runtime: Runtime, project_id: int) -> bool:
    """Whether answers to the project come in at this time, or anything waits for its grade."""
    with runtime.engine.begin() as connection:
        return not allowance.idle(connection, project_id, seconds=PAUSE)


def rest(times: int) -> float:
    """Seconds until a slice is tried again that was put off so many times: of many projects few ask at a time."""
    return min(LONGEST_REST, REST * 2.0 ** min(times, 10))


def _visit(runtime: Runtime, project_id: int, after: int) -> tuple[int, int, int]:
    """Revise one chunk: how many challenges were looked at, how many moved, and the last one's id."""
    with turns.taken(runtime, project_id, patience=PATIENCE) as turn:
        ids = consensus.stale(turn.connection, project_id, after=after, limit=CHUNK)
        if not ids:
            return 0, 0, after
        plan = turn.recall.scheme(projects.grading(turn.connection, project_id), runtime.device)
        locked = lock(turn, plan, np.array(ids, dtype=np.int64))
        everything = np.ones(len(locked.ids), dtype=bool)
        revised = revision.revise(
            turn, plan, locked, locked.answers.counted, everything, runtime.device, tolerance=TOLERANCE
        )
        standing.add(turn, plan, revised.standing, revised.move, runtime.device)
        crashpoints.reach("revisit-before-commit")
        return len(ids), int(revised.moved.sum()), ids[-1]
