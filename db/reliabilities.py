"""What is believed of respondents, as clients read it: one, a page, or all of a project's."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Connection, text

from db.errors import NotFoundError

SEARCHED = 10_000
"""Respondents that one page by key looks through at most, whatever its filter."""

Order = Literal["key", "accuracy", "-accuracy", "answers", "-answers"]
"""By what; after a minus, the largest first."""


@dataclass(frozen=True, slots=True)
class ReliabilityRow:
    """What is believed of a respondent."""

    id: int
    respondent: str
    answers: int
    skips: int
    accuracy: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ReliabilityFilter:
    """Which respondents; a field that is None lets all through.

    `told_from` is the number of answers from which a respondent's accuracy may be told: where the accuracy decides who
    is listed, or in which order, respondents with fewer are left out.
    """

    min_answers: int | None = None
    max_answers: int | None = None
    min_accuracy: float | None = None
    max_accuracy: float | None = None
    told_from: int | None = None

    def conditions(self, order: Order) -> dict[str, object]:
        """The values of the conditions that hold, by name."""
        by_accuracy = order in {"accuracy", "-accuracy"} or (self.min_accuracy, self.max_accuracy) != (None, None)
        kept = self if by_accuracy else replace(self, told_from=None)
        return {name: value for name in _CONDITIONS if (value := getattr(kept, name)) is not None}


ALL = ReliabilityFilter()

_CONDITIONS = {
    "min_answers": "s.answers >= :min_answers",
    "max_answers": "s.answers <= :max_answers",
    "min_accuracy": "s.accuracy >= :min_accuracy",
    "max_accuracy": "s.accuracy <= :max_accuracy",
    "told_from": "s.answers >= :told_from",
}
_ORDERS: dict[Order, tuple[str, str]] = {
    "key": ("r.key", ">"),
    "accuracy": ("s.accuracy, r.id", ">"),
    "-accuracy": ("s.accuracy DESC, r.id DESC", "<"),
    "answers": ("s.answers, r.id", ">"),
    "-answers": ("s.answers DESC, r.id DESC", "<"),
}
_COLUMNS = "r.id, r.key, s.answers, s.skips, s.accuracy, s.low, s.high"
_JOINED = "respondents r JOIN respondent_statistics s ON s.respondent_id = r.id"
# OFFSET 0 keeps the planner from joining by hash, which reads every project's statistics for one page.
_LOOKED_UP = (
    "respondents r CROSS JOIN LATERAL (SELECT * FROM respondent_statistics WHERE respondent_id = r.id OFFSET 0) s"
)


def get(connection: Connection, project_id: int, respondent: str) -> tuple[ReliabilityRow, list[float]]:
    """What is believed of one respondent, and the expected counts behind it.

    Raises:
        NotFoundError: the project has no such respondent, or no answer of theirs counts yet.
    """
    query = text(
        f"SELECT {_COLUMNS}, s.counts FROM {_LOOKED_UP}"
        " WHERE r.project_id = :project AND r.key = :key AND s.answers > 0"
    )
    row = connection.execute(query, {"project": project_id, "key": respondent}).one_or_none()
    if row is None:
        raise NotFoundError(f"no answer of a respondent {respondent!r} is graded")
    *fields, counts = row
    return ReliabilityRow(*fields), counts


def page(
    connection: Connection, project_id: int, *, after: str, limit: int, only: ReliabilityFilter = ALL
) -> tuple[list[ReliabilityRow], str | None]:
    """Respondents in the order of their keys' bytes, behind the key `after`.

    The second is the key up to which was searched, when the search stopped before the project's last respondent.
    """
    parameters = only.conditions("key") | {"project": project_id, "after": after, "limit": limit, "most": SEARCHED}
    searched = text(
        "SELECT key FROM respondents WHERE project_id = :project AND key > :after ORDER BY key OFFSET :most - 1 LIMIT 1"
    )
    parameters["end"] = end = connection.execute(searched, parameters).scalar() if only.conditions("key") else None
    query = text(
        f"SELECT {_COLUMNS} FROM {_LOOKED_UP} WHERE r.project_id = :project AND r.key > :after"
        f" AND {_where(only, 'key')} {'AND r.key <= :end' if end is not None else ''} ORDER BY r.key LIMIT :limit"
    )
    return [ReliabilityRow(*row) for row in connection.execute(query, parameters)], end


def ranked(
    connection: Connection,
    project_id: int,
    order: Order,
    *,
    after: tuple[float, int] | None,
    limit: int,
    only: ReliabilityFilter = ALL,
) -> list[ReliabilityRow]:
    """Respondents by accuracy or by answers, equals by id; `after` is both of the last one before.

    It reads all of the project's: an index would have to follow every batch.
    """
    by, beyond = _ORDERS[order]
    value, number = after or (None, None)
    behind = "" if after is None else f"AND ({by.replace(' DESC', '')}) {beyond} (:value, :number)"
    query = text(
        f"SELECT {_COLUMNS} FROM {_JOINED} WHERE r.project_id = :project AND {_where(only, order)} {behind}"
        f" ORDER BY {by} LIMIT :limit"
    )
    parameters = {"project": project_id, "value": value, "number": number, "limit": limit}
    return [ReliabilityRow(*row) for row in connection.execute(query, only.conditions(order) | parameters)]


def count(connection: Connection, project_id: int, order: Order, only: ReliabilityFilter = ALL) -> int:
    """How many respondents a list in this order has."""
    query = text(f"SELECT count(*) FROM {_JOINED} WHERE r.project_id = :project AND {_where(only, order)}")
    return int(connection.execute(query, only.conditions(order) | {"project": project_id}).scalar_one())


def stream(
    connection: Connection, project_id: int, order: Order, *, only: ReliabilityFilter = ALL, chunk: int = 5000
) -> Generator[list[ReliabilityRow], None, None]:
    """A project's respondents, in chunks, in memory that does not grow with their number."""
    query = text(
        f"SELECT {_COLUMNS} FROM {_JOINED} WHERE r.project_id = :project AND {_where(only, order)}"
        f" ORDER BY {_ORDERS[order][0]}"
    )
    parameters: dict[str, Any] = only.conditions(order) | {"project": project_id}
    with connection.execution_options(stream_results=True, max_row_buffer=chunk).execute(query, parameters) as result:
        for rows in result.partitions(chunk):
            yield [ReliabilityRow(*row) for row in rows]


def _where(only: ReliabilityFilter, order: Order) -> str:
    graded = ["s.answers > 0"]
    if order in {"accuracy", "-accuracy"}:
        graded.append("s.accuracy IS NOT NULL")
    return " AND ".join([*graded, *(_CONDITIONS[name] for name in only.conditions(order))])
