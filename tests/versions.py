"""Versions written as workers write them: under the challenges' locks, with one outbox row a transaction."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, text

_CHALLENGES = text("""
WITH made AS (
    INSERT INTO challenges (project_id, key) SELECT :project, 'c' || n FROM generate_series(1, :count) n
    RETURNING id
)
INSERT INTO consensus (challenge_id, project_id, answers, answer, confidence, posterior)
SELECT id, :project, 1, 0, 0.5, '{0.5, 0.5}' FROM made RETURNING challenge_id
""")

_LOCK = text(
    "SELECT 1 FROM consensus WHERE challenge_id = ANY(CAST(:ids AS bigint[])) ORDER BY challenge_id FOR UPDATE"
)

_WRITE = text("""
WITH moved AS (
    UPDATE consensus SET version = version + 1 WHERE challenge_id = ANY(CAST(:ids AS bigint[]))
    RETURNING challenge_id, version
), said AS (
    INSERT INTO verdicts (
        challenge_id, version, answer, confidence, status, cause, posterior, input_digest, answers, skips
    ) SELECT challenge_id, version, version % 2, 0.5, 'open', 'answers', '{0.5, 0.5}', 0, 1, 0 FROM moved
)
INSERT INTO outbox (project_id, challenge_ids, versions)
SELECT :project, array_agg(challenge_id), array_agg(version) FROM moved
""")


def make_challenges(engine: Engine, project_id: int, count: int) -> list[int]:
    """Ids of new challenges without a version; their keys are c1, c2, ..."""
    with engine.begin() as connection:
        return list(connection.execute(_CHALLENGES, {"project": project_id, "count": count}).scalars())


def write(connection: Connection, project_id: int, challenge_ids: Sequence[int]) -> None:
    """The next version of each of these challenges, each with another answer than the one before."""
    connection.execute(_LOCK, {"ids": list(challenge_ids)})
    connection.execute(_WRITE, {"project": project_id, "ids": list(challenge_ids)})


_FAULTS = text("""
WITH feed AS (
    SELECT *, row_number() OVER (ORDER BY position) AS place,
           row_number() OVER (PARTITION BY challenge_id ORDER BY position) AS turn
    FROM events WHERE project_id = :project
)
SELECT (SELECT count(*) FROM feed WHERE place <> position) AS gaps,
       (SELECT count(*) FROM feed WHERE turn <> version) AS out_of_order,
       (SELECT count(*) FROM verdicts v JOIN challenges c ON c.id = v.challenge_id AND c.project_id = :project
        WHERE NOT EXISTS (SELECT 1 FROM feed WHERE challenge_id = v.challenge_id AND version = v.version)) AS missing,
       (SELECT count(*) FROM outbox WHERE project_id = :project) AS left_over
""")


def faults(engine: Engine, project_id: int) -> dict[str, int]:
    """What is wrong with the feed of a project whose writers have ended; empty when nothing is."""
    with engine.connect() as connection:
        found = connection.execute(_FAULTS, {"project": project_id}).one()._asdict()
    return {name: count for name, count in found.items() if count}
