"""How far back the change feed and the versions of verdicts reach.

Positions of a feed have no gaps, so the oldest event says all of what is gone. The last event of a project is never
dropped: the sequencer goes on behind it. With an event goes the version that its own version superseded: what an event
that is left shows, and the version in force where the feed begins, stay.
"""

from sqlalchemy import Connection, text

ROWS = 10_000
"""Events of one project that are dropped in one transaction, at most."""

_OLD = text("""
SELECT p.id
FROM projects p
CROSS JOIN LATERAL (
    SELECT challenge_id, version FROM events WHERE project_id = p.id ORDER BY position LIMIT 1
) e
JOIN verdicts v ON v.challenge_id = e.challenge_id AND v.version = e.version
WHERE v.created_at < now() - make_interval(days => :days)
ORDER BY p.id
""")

_DROP = text("""
WITH oldest AS (
    SELECT e.position, v.created_at < now() - make_interval(days => :days) AS old
    FROM (
        SELECT position, challenge_id, version FROM events WHERE project_id = :project ORDER BY position LIMIT :rows + 1
    ) e
    JOIN verdicts v ON v.challenge_id = e.challenge_id AND v.version = e.version
), first AS (
    SELECT coalesce(min(position) FILTER (WHERE NOT old), max(position)) AS position FROM oldest
), dropped AS (
    DELETE FROM events e USING first
    WHERE e.project_id = :project AND e.position < first.position
    RETURNING e.challenge_id, e.version
), superseded AS (
    DELETE FROM verdicts v USING dropped d WHERE v.challenge_id = d.challenge_id AND v.version = d.version - 1
)
SELECT count(*) FROM dropped
""")


def old(connection: Connection, days: int) -> list[int]:
    """Projects whose oldest event is older than so many days."""
    return list(connection.execute(_OLD, {"days": days}).scalars())


def drop(connection: Connection, project_id: int, days: int, *, rows: int = ROWS) -> int:
    """Drop a project's events from before its first one of the last `days`, and what they superseded; oldest first.

    Returns:
        How many events were dropped; fewer than `rows` when no more can be.
    """
    parameters = {"project": project_id, "days": days, "rows": rows}
    return int(connection.execute(_DROP, parameters).scalar_one())


def begins_behind(connection: Connection, project_id: int) -> int:
    """The position before a project's oldest event; 0 when nothing was dropped."""
    query = text("SELECT position - 1 FROM events WHERE project_id = :project ORDER BY position LIMIT 1")
    return connection.execute(query, {"project": project_id}).scalar_one_or_none() or 0
