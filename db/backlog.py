"""What waits to be graded, door by door, and how fast it goes away."""

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Waiting:
    """The batches of a project and lane that nobody has claimed."""

    project_id: int
    lane: str
    oldest: float
    """Seconds since the oldest became due; below 0 if none is."""
    due: int
    """Those of the batches that are not in backoff."""
    batches: int
    bytes: int
    """Of the bodies of all of them."""


# One partial index answers it. What is in backoff is not due, what is claimed, dead or cancelled does not wait.
_WAITING = text("""
SELECT project_id, lane, extract(epoch FROM now() - min(due_at))::float8, count(*) FILTER (WHERE due_at <= now()),
       count(*), sum(size)::bigint
FROM batches WHERE state = 'waiting' GROUP BY project_id, lane ORDER BY project_id, lane
""")

_GRADED = text("""
SELECT count(*) FROM batches
WHERE project_id = :project AND lane = :lane AND state = 'graded'
AND finished_at > now() - make_interval(secs => :seconds)
""")


def waiting(connection: Connection) -> list[Waiting]:
    """Every door at which something waits."""
    return [Waiting(*row) for row in connection.execute(_WAITING)]


def graded(connection: Connection, project_id: int, lane: str, *, seconds: float) -> int:
    """Batches of a project and lane that were graded in the last seconds."""
    parameters = {"project": project_id, "lane": lane, "seconds": seconds}
    return int(connection.execute(_GRADED, parameters).scalar_one())
