"""Versions written as workers write them: in the project's turn, with their places in the feed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sqlalchemy import Connection, Engine, text

from db import turns, verdicts
from db.turns import Moved
from db.verdicts import NewVersions
from db.writes import Writes

_CHALLENGES = text("""
WITH made AS (
    INSERT INTO challenges (project_id, key) SELECT :project, 'c' || n FROM generate_series(1, :count) n
    RETURNING id
)
INSERT INTO consensus (challenge_id, project_id, answers, answer, confidence, posterior)
SELECT id, :project, 1, 0, 0.5, '{0.5, 0.5}' FROM made RETURNING challenge_id
""")

_MOVE = text("""
UPDATE consensus c SET version = version + 1, positions = positions || :behind + u.place
FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS u(id, place)
WHERE c.challenge_id = u.id RETURNING c.challenge_id, c.version
""")


def make_challenges(engine: Engine, project_id: int, count: int) -> list[int]:
    """Ids of new challenges without a version; their keys are c1, c2, ..."""
    with engine.begin() as connection:
        return list(connection.execute(_CHALLENGES, {"project": project_id, "count": count}).scalars())


def write(connection: Connection, project_id: int, challenge_ids: Sequence[int]) -> None:
    """The next version of each of these challenges, in this order, each with another answer than the one before."""
    place = turns.take(connection, project_id, most=60)
    behind = place.events
    ids = np.array(challenge_ids, dtype=np.int64)
    moved = connection.execute(_MOVE, {"behind": behind, "ids": ids}).all()
    version = {row.challenge_id: row.version for row in moved}
    versions = np.array([version[challenge_id] for challenge_id in challenge_ids])
    half, none = np.full(len(ids), 0.5), np.zeros(len(ids), dtype=np.int64)
    new = NewVersions(
        challenge_ids=ids,
        versions=versions,
        answer=versions % 2,
        posterior=np.full((len(ids), 2), 0.5),
        confidence=half,
        status=none,
        cause=none,
        answers=none + 1,
        skips=none,
        digest=none,
        answer_before=np.where(versions == 1, -1, (versions - 1) % 2),
        confidence_before=np.where(versions == 1, np.nan, half),
        status_before=none,
    )
    with Writes(connection) as writes:
        verdicts.append(writes, project_id, behind, new, run_id=None, configuration_id=None)
        turns.leave(writes, project_id, replace(place, events=behind + len(ids)), Moved(ids, none[:0]))


_FAULTS = text("""
WITH feed AS (
    SELECT *, row_number() OVER (ORDER BY position) AS place,
           row_number() OVER (PARTITION BY challenge_id ORDER BY position) AS turn
    FROM events WHERE project_id = :project
), told AS (
    SELECT unnest(positions) AS position, challenge_id, generate_series(1, cardinality(positions)) AS version
    FROM consensus WHERE project_id = :project
)
SELECT (SELECT count(*) FROM feed WHERE place <> position) AS gaps,
       (SELECT count(*) FROM feed WHERE turn <> version) AS out_of_order,
       (SELECT count(*) FROM feed FULL JOIN told USING (position, challenge_id, version)
        WHERE feed.place IS NULL OR told.challenge_id IS NULL) AS misplaced,
       (SELECT count(*) FROM consensus WHERE project_id = :project AND version <> cardinality(positions)) AS missing,
       (SELECT events FROM turns WHERE project_id = :project)
           - (SELECT coalesce(max(position), 0) FROM feed) AS ahead
""")


def faults(engine: Engine, project_id: int) -> dict[str, int]:
    """What is wrong with the feed of a project; empty when nothing is."""
    with engine.connect() as connection:
        found = connection.execute(_FAULTS, {"project": project_id}).one()._asdict()
    return {name: count for name, count in found.items() if count}
