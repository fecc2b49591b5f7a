"""Following gold: statistics count a challenge as its gold says, from the transaction on that marks it as applied.

A regrade touches the statistics of those who answered the challenges whose gold has changed. The consensus of these
challenges stays as it stands, with its time: a reader must not see which they are. What the new reliabilities say of
all challenges, these among them, is told by the refit that is asked for.
"""

import time
from functools import partial

import numpy as np

from db import gold, projects, runs
from telemetry import crashpoints, logging
from workers import retries, revision, turns
from workers.locked import lock
from workers.runtime import NOTHING_LEFT, Runtime, WorkLeft

log = logging.get(__name__)

CHUNK = 200
"""Challenges followed in one transaction."""


def run(runtime: Runtime, project_id: int) -> WorkLeft:
    """Follow the project's gold for one slice."""
    deadline = time.monotonic() + runtime.settings.slice_ms / 1000
    followed = 0
    while time.monotonic() < deadline:
        found = retries.through_conflicts(partial(_follow, runtime, project_id), limit=runtime.settings.lease)
        followed += found
        crashpoints.reach("regrade-committed")
        if found < CHUNK:
            break
    if not followed:
        return NOTHING_LEFT
    log.info("gold followed", project=project_id, challenges=followed)
    with runtime.engine.begin() as connection:
        if project_id in gold.waiting(connection):
            return WorkLeft(regrades=(project_id,))
        refits = (project_id,) if project_id in runs.waiting(connection) else ()
    return WorkLeft(refits=refits)


def _follow(runtime: Runtime, project_id: int) -> int:
    """Follow one chunk; returns how many challenges it was."""
    with turns.taken(runtime, project_id) as turn:
        ids = gold.pending(turn.connection, project_id, CHUNK)
        if not ids:
            return 0
        plan = turn.recall.scheme(projects.grading(turn.connection, project_id), runtime.device)
        challenges = np.array(ids, dtype=np.int64)
        turn.recall.challenges.drop(challenges)  # what is remembered of their gold is of before
        locked = lock(turn, plan, challenges)
        revision.follow_gold(turn, plan, locked, runtime.device)
        gold.applied(turn.connection, ids)
        if locked.answers.counted.any():  # even what grading has followed meanwhile is news to all other challenges
            runs.request(turn.connection, project_id, "gold")
        crashpoints.reach("regrade-before-commit")
        return len(ids)
