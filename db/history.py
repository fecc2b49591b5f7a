"""How far back the change feed and the versions of verdicts reach.

Positions of a feed have no gaps, so the oldest event says all of what is gone. The last bulletin of a project is never
dropped. With an event goes the version that its own version superseded: what an event that is left shows, and the
version in force where the feed begins, stay.
"""

from sqlalchemy import Connection, text

from db.models.challenge import STATUSES
from db.models.verdict import CAUSES

BULLETINS = 100
"""Bulletins of one project that are dropped in one transaction, at most."""

_OLD = text("""
SELECT p.id
FROM projects p
CROSS JOIN LATERAL (SELECT created_at FROM bulletins WHERE project_id = p.id ORDER BY first LIMIT 1) b
WHERE b.created_at < now() - make_interval(days => :days)
ORDER BY p.id
""")

_DROP = text("""
WITH oldest AS (
    SELECT first, created_at < now() - make_interval(days => :days) AS old
    FROM bulletins WHERE project_id = :project ORDER BY first LIMIT :bulletins + 1
), kept AS (
    SELECT coalesce(min(first) FILTER (WHERE NOT old), max(first)) AS first FROM oldest
), dropped AS (
    DELETE FROM bulletins b USING kept WHERE b.project_id = :project AND b.first < kept.first RETURNING b.*
), in_force AS (
    SELECT DISTINCT ON (u.challenge_id)
           u.*, d.created_at, d.model_run_id, d.configuration_id,
           d.posteriors[(u.place - 1) * cardinality(d.posteriors) / cardinality(d.versions) + 1
                        : u.place * cardinality(d.posteriors) / cardinality(d.versions)] AS posterior
    FROM dropped d CROSS JOIN LATERAL unnest(
        d.challenge_ids, d.versions, d.answers, d.confidences, d.statuses, d.causes, d.answered, d.skips, d.digests
    ) WITH ORDINALITY AS u(
        challenge_id, version, answer, confidence, status, cause, answers, skips, digest, place
    )
    ORDER BY u.challenge_id, u.version DESC
), retained AS (
    INSERT INTO retained_verdicts (challenge_id, created_at, confidence, input_digest, model_run_id, version, answers,
                                   skips, configuration_id, answer, status, cause, posterior)
    SELECT challenge_id, created_at, confidence, digest, model_run_id, version, answers, skips, configuration_id,
           nullif(answer, -1), (CAST(:statuses AS text[]))[status + 1], (CAST(:causes AS text[]))[cause + 1], posterior
    FROM in_force
    ON CONFLICT (challenge_id) DO UPDATE SET
        created_at = excluded.created_at, confidence = excluded.confidence, input_digest = excluded.input_digest,
        model_run_id = excluded.model_run_id, version = excluded.version, answers = excluded.answers,
        skips = excluded.skips, configuration_id = excluded.configuration_id, answer = excluded.answer,
        status = excluded.status, cause = excluded.cause, posterior = excluded.posterior
)
SELECT coalesce(sum(cardinality(versions)), 0) FROM dropped
""")


def old(connection: Connection, days: int) -> list[int]:
    """Projects whose oldest events are older than so many days."""
    return list(connection.execute(_OLD, {"days": days}).scalars())


def drop(connection: Connection, project_id: int, days: int, *, bulletins: int = BULLETINS) -> int:
    """Drop a project's bulletins from before its first one of the last `days`, and what they superseded; oldest first.

    Returns:
        How many events were dropped, of so many bulletins at most; 0 when no more can be.
    """
    parameters = {"project": project_id, "days": days, "bulletins": bulletins}
    names = {"statuses": list(STATUSES), "causes": list(CAUSES)}
    return int(connection.execute(_DROP, parameters | names).scalar_one())


def begins_behind(connection: Connection, project_id: int) -> int:
    """The position before a project's oldest event; 0 when nothing was dropped."""
    query = text("SELECT first - 1 FROM bulletins WHERE project_id = :project ORDER BY first LIMIT 1")
    return connection.execute(query, {"project": project_id}).scalar_one_or_none() or 0
