"""Grades, as clients read them: those of a batch, a page of a project's, or all of a project's."""

from collections.abc import Generator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class GradeRow:
    """One answer of a batch and what became of it; rejected and dead ones have no names, choice and times."""

    batch_id: int
    batch: str
    """The identifier that clients see."""
    position: int
    challenge: str | None
    respondent: str | None
    choice: int | None
    state: str
    grade: float | None
    """As it was given when the answer came."""
    current: float | None
    """As the challenge's consensus has it now."""
    reason: str | None
    session: str | None
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class GradeFilter:
    """Which batches' grades; a field that is None lets all through."""

    accepted_after: datetime | None = None
    accepted_before: datetime | None = None


ALL = GradeFilter()
START = (0, -1)
"""Before the first batch's first answer."""

# Batch by batch, by look-ups alone: neither Postgres nor we ever hold or sort a project's answers.
_EACH = """
FROM batches b CROSS JOIN LATERAL (
    SELECT a.position, c.key AS challenge, r.key AS respondent, a.choice,
           CASE WHEN a.counted THEN 'graded' ELSE 'superseded' END AS state, a.grade,
           CASE WHEN a.choice >= 0 THEN now.posterior[a.choice + 1] END AS current, NULL AS reason,
           nullif(a.session, '') AS session, a.answered_at
    FROM answers a
    CROSS JOIN LATERAL (SELECT key FROM challenges WHERE id = a.challenge_id OFFSET 0) c
    CROSS JOIN LATERAL (SELECT key FROM respondents WHERE id = a.respondent_id OFFSET 0) r
    LEFT JOIN LATERAL (SELECT posterior FROM consensus WHERE challenge_id = a.challenge_id OFFSET 0) now ON true
    WHERE a.batch_id = b.id AND (a.batch_id, a.position) > (:batch, :position)
    UNION ALL
    SELECT position, NULL, NULL, NULL, state, NULL, NULL, reason, NULL, NULL
    FROM failures f WHERE f.batch_id = b.id AND (f.batch_id, f.position) > (:batch, :position)
    ORDER BY position
) g
"""
_COLUMNS = (
    "b.id, b.uid::text, g.position, g.challenge, g.respondent, g.choice, g.state, g.grade, g.current, g.reason,"
    " g.session, g.answered_at"
)
_CHOSEN = """
b.project_id = :project AND b.id >= :batch
AND (CAST(:accepted_after AS timestamptz) IS NULL OR b.accepted_at > :accepted_after)
AND (CAST(:accepted_before AS timestamptz) IS NULL OR b.accepted_at < :accepted_before)
"""

_OF_BATCH = text(f"SELECT {_COLUMNS} {_EACH} WHERE b.id = :batch ORDER BY g.position LIMIT :limit")
_PAGE = text(f"SELECT {_COLUMNS} {_EACH} WHERE {_CHOSEN} ORDER BY b.id, g.position LIMIT :limit")
_ALL = text(f"SELECT {_COLUMNS} {_EACH} WHERE {_CHOSEN} ORDER BY b.id, g.position")
_COUNT = text(f"""
SELECT coalesce((SELECT sum(cardinality(s.challenge_ids)) FROM batches b JOIN sheets s ON s.batch_id = b.id
                 WHERE {_CHOSEN}), 0)
     + (SELECT count(*) FROM batches b JOIN failures f ON f.batch_id = b.id WHERE {_CHOSEN})
""")
"""Answers are counted by sheets: to see each of them would take longer than a client waits."""


def of_batch(connection: Connection, batch_id: int, *, after: int, limit: int) -> list[GradeRow]:
    """The answers of a batch by position, those after `after`; waiting ones have no row yet."""
    parameters = {"batch": batch_id, "position": after, "limit": limit}
    return [GradeRow(*row) for row in connection.execute(_OF_BATCH, parameters)]


def page(
    connection: Connection, project_id: int, *, after: tuple[int, int], limit: int, only: GradeFilter = ALL
) -> list[GradeRow]:
    """A project's answers in the order in which they were accepted, those behind a batch's position."""
    parameters = _parameters(project_id, after, only) | {"limit": limit}
    return [GradeRow(*row) for row in connection.execute(_PAGE, parameters)]


def count(connection: Connection, project_id: int, only: GradeFilter = ALL) -> int:
    """How many answers a project has that do not wait."""
    return int(connection.execute(_COUNT, _parameters(project_id, START, only)).scalar_one())


def stream(
    connection: Connection, project_id: int, *, only: GradeFilter = ALL, chunk: int = 5000
) -> Generator[list[GradeRow], None, None]:
    """All of them in that order, in chunks, in memory that does not grow with their number."""
    streaming = connection.execution_options(stream_results=True, max_row_buffer=chunk)
    with streaming.execute(_ALL, _parameters(project_id, START, only)) as result:
        for rows in result.partitions(chunk):
            yield [GradeRow(*row) for row in rows]


def _parameters(project_id: int, after: tuple[int, int], only: GradeFilter) -> dict[str, Any]:
    batch, position = after
    return asdict(only) | {"project": project_id, "batch": batch, "position": position}
