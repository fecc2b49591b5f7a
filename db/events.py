"""The change feed: who numbers committed versions, and who reads what is numbered.

A transaction that writes versions leaves one outbox row with them and no position: transactions commit in another order
than they draw numbers, so a position given while writing could become visible after a later one, and a reader who has
gone on would miss it. Instead one sequencer per project numbers what is committed; readers see what is numbered.

Why nothing is lost, doubled or out of order:

- Sequencers of a project exclude each other by an advisory lock, which Postgres frees only after their commit can be
  seen. The outbox is read by a statement of its own after the lock is held, so under READ COMMITTED its snapshot holds
  what the sequencer before has numbered and deleted.
- Events are inserted and their outbox rows deleted in one transaction.
- An outbox id is drawn while the locks of its challenges are held. Whoever writes the next version of one of them draws
  a higher id, and cannot commit before this one has: of one challenge, a snapshot that holds a version holds all before
  it, and the order of ids is the order of versions.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, text

Kind = Literal[
    "verdict.created",
    "verdict.corrected",
    "verdict.settled",
    "verdict.ambiguous",
    "verdict.unanswerable",
    "verdict.reopened",
    "verdict.updated",
]

ROWS = 1000
"""Outbox rows that are numbered in one transaction, at most."""

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('events', :project))")

_NUMBER = text("""
WITH first AS (
    SELECT id FROM outbox WHERE project_id = :project ORDER BY id LIMIT :rows
), taken AS (
    DELETE FROM outbox o USING first WHERE o.id = first.id RETURNING o.id, o.challenge_ids, o.versions
), last AS (
    SELECT coalesce(max(position), 0) AS position FROM events WHERE project_id = :project
)
INSERT INTO events (project_id, position, challenge_id, version)
SELECT :project, last.position + row_number() OVER (ORDER BY taken.id, u.place), u.challenge_id, u.version
FROM last, taken, unnest(taken.challenge_ids, taken.versions) WITH ORDINALITY AS u(challenge_id, version, place)
""")


def sequence(connection: Connection, project_id: int, *, rows: int = ROWS) -> int:
    """Number a project's committed versions, oldest outbox rows first, in a READ COMMITTED transaction of its own.

    Returns:
        How many events were added; 0 when nothing was left to number.

    Raises:
        OperationalError: another sequencer is at it for longer than the transaction's lock time-out.
    """
    connection.execute(_LOCK, {"project": project_id})
    return connection.execute(_NUMBER, {"project": project_id, "rows": rows}).rowcount


def waiting(connection: Connection) -> list[int]:
    """Projects with committed versions that have no position yet."""
    return list(connection.execute(text("SELECT DISTINCT project_id FROM outbox ORDER BY project_id")).scalars())


_HEADS = text("""
SELECT p.id, e.position
FROM unnest(CAST(:projects AS bigint[])) AS p(id)
CROSS JOIN LATERAL (
    SELECT position FROM events WHERE project_id = p.id ORDER BY position DESC LIMIT 1
) e
""")


def heads(connection: Connection, project_ids: list[int]) -> dict[int, int]:
    """The last position of each of these projects' feeds; projects without events are left out."""
    return {row.id: row.position for row in connection.execute(_HEADS, {"projects": project_ids})}


@dataclass(frozen=True, slots=True)
class Before:
    """What a version superseded."""

    version: int
    answer: int | None
    confidence: float
    status: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """One visible change of a verdict; answers by class code."""

    position: int
    challenge: str
    version: int
    at: datetime
    answer: int | None
    confidence: float
    status: str
    cause: str
    previous: Before | None

    @property
    def kind(self) -> Kind:
        """What a caller would call it; another answer comes before another status."""
        before = self.previous
        if before is None:
            return "verdict.created"
        if self.answer != before.answer and self.answer is not None and before.answer is not None:
            return "verdict.corrected"
        if self.status == before.status:
            return "verdict.updated"
        return _REACHED[self.status]


_REACHED: dict[str, Kind] = {
    "open": "verdict.reopened",
    "settled": "verdict.settled",
    "ambiguous": "verdict.ambiguous",
    "unanswerable": "verdict.unanswerable",
}

_PAGE = text("""
SELECT e.position, c.key, e.version, v.created_at, v.answer, v.confidence, v.status, v.cause,
       b.version AS version_before, b.answer AS answer_before, b.confidence AS confidence_before,
       b.status AS status_before
FROM (
    SELECT position, challenge_id, version FROM events
    WHERE project_id = :project AND position > :after ORDER BY position LIMIT :limit
) e
JOIN challenges c ON c.id = e.challenge_id
JOIN verdicts v ON v.challenge_id = e.challenge_id AND v.version = e.version
LEFT JOIN verdicts b ON b.challenge_id = e.challenge_id AND b.version = e.version - 1
ORDER BY e.position
""")


def page(connection: Connection, project_id: int, *, after: int, limit: int) -> list[EventRow]:
    """A project's events in their order, those after the position `after`."""
    result = connection.execute(_PAGE, {"project": project_id, "after": after, "limit": limit})
    return [EventRow(*(*row[:8], None if row.version_before is None else Before(*row[8:]))) for row in result]
