"""Current verdicts, as clients read them: one, a page, or all of a project's."""

from collections.abc import Generator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, text

from db.errors import NotFoundError

Status = Literal["open", "settled", "ambiguous", "unanswerable"]

SEARCHED = 10_000
"""Challenges that one page looks through at most, whatever its filter."""


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """A challenge's consensus as clients see it; posteriors by class code."""

    challenge: str
    answer: int | None
    confidence: float | None
    status: Status
    version: int
    posterior: list[float]
    answers: int
    skips: int
    final: bool
    model_run: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class VerdictFilter:
    """Which verdicts; a field that is None lets all through."""

    status: list[Status] | None = None
    answer: int | None = None
    """Class code."""
    min_confidence: float | None = None
    max_confidence: float | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    min_version: int | None = None
    min_answers: int | None = None
    max_answers: int | None = None

    def given(self) -> dict[str, object]:
        """The fields that say something."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in named if value is not None}


ALL = VerdictFilter()

_CONDITIONS = {
    "status": "c.status = ANY(:status)",
    "answer": "c.answer = :answer",
    "min_confidence": "c.confidence >= :min_confidence",
    "max_confidence": "c.confidence <= :max_confidence",
    "updated_after": "c.updated_at > :updated_after",
    "updated_before": "c.updated_at < :updated_before",
    "min_version": "c.version >= :min_version",
    "min_answers": "c.answers >= :min_answers",
    "max_answers": "c.answers <= :max_answers",
}
_SHOWN = "c.answers + c.skips > 0"
_COLUMNS = (
    "ch.key, c.answer, c.confidence, c.status, c.version, c.posterior, c.answers, c.skips, c.final,"
    " r.uid::text AS model_run, c.updated_at"
)
_JOINED = "challenges ch JOIN consensus c ON c.challenge_id = ch.id"
# OFFSET 0 keeps the planner from joining by hash, which reads every project's consensus for one page.
_LOOKED_UP = (
    "challenges ch CROSS JOIN LATERAL (SELECT * FROM consensus WHERE challenge_id = ch.id OFFSET 0) c"
    " LEFT JOIN model_runs r ON r.id = c.model_run_id"
)


def get(connection: Connection, project_id: int, challenge: str) -> VerdictRow:
    """The consensus on one challenge.

    Raises:
        NotFoundError: the project has no such challenge, or no answer to it counts yet.
    """
    query = text(f"SELECT {_COLUMNS} FROM {_LOOKED_UP} WHERE ch.project_id = :project AND ch.key = :key AND {_SHOWN}")
    row = connection.execute(query, {"project": project_id, "key": challenge}).one_or_none()
    if row is None:
        raise NotFoundError(f"no answer to a challenge {challenge!r} is graded")
    return VerdictRow(*row)


def page(
    connection: Connection,
    project_id: int,
    *,
    after: str,
    limit: int,
    only: VerdictFilter = ALL,
    unanswered: bool = False,
) -> tuple[list[VerdictRow], str | None]:
    """Verdicts in the order of their challenges' key bytes, behind the key `after`.

    `unanswered`: challenges without a graded answer, too. Almost all of these are gold that nobody has met yet.

    The second is the key up to which was searched, when the search stopped before the project's last challenge: what
    matches may be behind it, even if fewer than `limit` were found.
    """
    parameters = only.given() | {"project": project_id, "after": after, "limit": limit, "searched": SEARCHED}
    searched = text(
        "SELECT key FROM challenges WHERE project_id = :project AND key > :after ORDER BY key"
        " OFFSET :searched - 1 LIMIT 1"
    )
    parameters["end"] = end = connection.execute(searched, parameters).scalar() if only.given() else None
    conditions = _conditions(only, unanswered=unanswered)
    query = text(
        f"SELECT {_COLUMNS} FROM {_LOOKED_UP} WHERE ch.project_id = :project AND ch.key > :after"
        f" AND {conditions} {'AND ch.key <= :end' if end is not None else ''} ORDER BY ch.key LIMIT :limit"
    )
    return [VerdictRow(*row) for row in connection.execute(query, parameters)], end


def count(connection: Connection, project_id: int, only: VerdictFilter = ALL) -> int:
    """How many verdicts there are."""
    query = text(f"SELECT count(*) FROM {_JOINED} WHERE ch.project_id = :project AND {_conditions(only)}")
    return int(connection.execute(query, only.given() | {"project": project_id}).scalar_one())


def stream(
    connection: Connection, project_id: int, *, only: VerdictFilter = ALL, chunk: int = 5000
) -> Generator[list[VerdictRow], None, None]:
    """A project's verdicts by key, in chunks, in memory that does not grow with their number."""
    query = text(
        f"SELECT {_COLUMNS} FROM {_JOINED} LEFT JOIN model_runs r ON r.id = c.model_run_id"
        f" WHERE ch.project_id = :project AND {_conditions(only)} ORDER BY ch.key"
    )
    parameters: dict[str, Any] = only.given() | {"project": project_id}
    with connection.execution_options(stream_results=True, max_row_buffer=chunk).execute(query, parameters) as result:
        for rows in result.partitions(chunk):
            yield [VerdictRow(*row) for row in rows]


def _conditions(only: VerdictFilter, *, unanswered: bool = False) -> str:
    return " AND ".join(["true" if unanswered else _SHOWN, *(_CONDITIONS[name] for name in only.given())])
