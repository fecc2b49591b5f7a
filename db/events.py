"""The change feed: committed versions of verdicts in an order that never changes, without a gap.

Positions are given to a project's versions in the transaction that writes them, in the project's turn: the next turn
begins when all of this one can be seen. Whoever sees a position therefore sees all before it, and nothing comes late.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, text

from db.models.challenge import STATUSES
from db.models.verdict import CAUSES, NO_ANSWER

Kind = Literal[
    "verdict.created",
    "verdict.corrected",
    "verdict.settled",
    "verdict.ambiguous",
    "verdict.unanswerable",
    "verdict.reopened",
    "verdict.updated",
]


def heads(connection: Connection, project_ids: list[int]) -> dict[int, int]:
    """The last position of each of these projects' feeds; projects without events are left out."""
    query = text("SELECT project_id, events FROM turns WHERE project_id = ANY(:projects) AND events > 0")
    return {row.project_id: row.events for row in connection.execute(query, {"projects": project_ids})}


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
WITH behind AS (
    SELECT greatest(
        :after, (SELECT first - 1 FROM bulletins WHERE project_id = :project ORDER BY first LIMIT 1)
    ) AS position
)
SELECT e.*, c.key
FROM (
    SELECT b.first + u.place - 1 AS position, behind.position AS behind, b.created_at, u.*
    FROM behind
    JOIN bulletins b ON b.project_id = :project AND b.first <= behind.position + :limit AND b.first >= (
        SELECT first FROM bulletins WHERE project_id = :project AND first <= behind.position + 1
        ORDER BY first DESC LIMIT 1
    )
    CROSS JOIN LATERAL unnest(
        b.challenge_ids, b.versions, b.answers, b.confidences, b.statuses, b.causes, b.answers_before,
        b.confidences_before, b.statuses_before
    ) WITH ORDINALITY AS u(
        challenge_id, version, answer, confidence, status, cause, answer_before, confidence_before, status_before, place
    )
) e
CROSS JOIN LATERAL (SELECT key FROM challenges WHERE id = e.challenge_id OFFSET 0) c
WHERE e.position > e.behind AND e.position <= e.behind + :limit
ORDER BY e.position
""")
# OFFSET 0 keeps the planner from joining by hash, which reads every project's challenges for one page.


def page(connection: Connection, project_id: int, *, after: int, limit: int) -> list[EventRow]:
    """A project's events in their order, those after the position `after`."""
    rows = connection.execute(_PAGE, {"project": project_id, "after": after, "limit": limit})
    return [
        EventRow(
            row.position,
            row.key,
            row.version,
            row.created_at,
            _code(row.answer),
            row.confidence,
            STATUSES[row.status],
            CAUSES[row.cause],
            Before(row.version - 1, _code(row.answer_before), row.confidence_before, STATUSES[row.status_before])
            if row.version > 1
            else None,
        )
        for row in rows
    ]


def _code(answer: int) -> int | None:
    return None if answer == NO_ANSWER else answer
