"""The ledger: how many answers are in each state, and what waits. Reads the one view that everybody reads."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

STATES = ("accepted", "waiting", "graded", "superseded", "rejected", "dead", "cancelled", "lost")


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """Answers of a project by state; `lost` = accepted minus the sum of the others, and must be 0."""

    tenant: str
    project: str
    accepted: int
    waiting: int
    graded: int
    superseded: int
    rejected: int
    dead: int
    cancelled: int
    lost: int


_SELECT = f"""
SELECT t.name AS tenant, p.name AS project, {", ".join(f"l.{state}" for state in STATES)}
FROM ledger l JOIN projects p ON p.id = l.project_id JOIN tenants t ON t.id = p.tenant_id
"""


def read(connection: Connection) -> list[LedgerRow]:
    """The ledger of every project. Counts the answers themselves: seconds on tens of millions of rows."""
    return [LedgerRow(*row) for row in connection.execute(text(f"{_SELECT} ORDER BY t.name, p.name"))]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in a lane."""

    lane: str
    waiting: int
    claimed: int
    oldest: float
    """Seconds since the oldest batch that is due and unclaimed became due; 0 when there is none."""


_BACKLOG = text("""
SELECT lane, sum(waiting)::bigint, sum(claimed)::bigint,
       coalesce(extract(epoch FROM now() - min(oldest)), 0)::float8
FROM (
    SELECT lane, count(*) AS waiting, 0 AS claimed, min(due_at) FILTER (WHERE due_at <= now()) AS oldest
    FROM batches WHERE state = 'waiting' GROUP BY lane
    UNION ALL
    SELECT lane, 0, count(*), NULL FROM batches WHERE state = 'claimed' GROUP BY lane
) t GROUP BY lane ORDER BY lane
""")


def backlog(connection: Connection) -> list[Backlog]:
    """What waits, by lane: reads partial indexes only, whatever is stored."""
    return [Backlog(*row) for row in connection.execute(_BACKLOG)]
