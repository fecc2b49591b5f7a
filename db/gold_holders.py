"""Respondents who seem to know gold's answers from elsewhere, as the last look at a project's gold found them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class GoldHolderRow:
    """A respondent and the odds that gold's answers were known to them."""

    id: int
    respondent: str
    odds: float


def replace(connection: Connection, project_id: int, respondent_ids: Sequence[int], odds: Sequence[float]) -> None:
    """Put these respondents in the place of the project's; ids ascending."""
    values = {"project": project_id, "ids": list(respondent_ids), "odds": list(odds)}
    connection.execute(
        text("DELETE FROM gold_holders WHERE project_id = :project AND respondent_id <> ALL(CAST(:ids AS bigint[]))"),
        values,
    )
    connection.execute(
        text("""
            INSERT INTO gold_holders AS h (respondent_id, project_id, odds)
            SELECT t.id, :project, t.odds FROM unnest(CAST(:ids AS bigint[]), CAST(:odds AS float8[])) AS t(id, odds)
            ON CONFLICT (respondent_id) DO UPDATE SET odds = excluded.odds WHERE h.odds <> excluded.odds
        """),
        values,
    )


def page(
    connection: Connection, project_id: int, *, odds: float, after: tuple[float, int] | None, limit: int
) -> list[GoldHolderRow]:
    """Those with such odds and more, the surest first, equals by id downwards; `after` is both of the last before."""
    behind = "" if after is None else "AND (h.odds, h.respondent_id) < (:value, :number)"
    value, number = after or (None, None)
    query = text(f"""
        SELECT r.id, r.key, h.odds FROM gold_holders h JOIN respondents r ON r.id = h.respondent_id
        WHERE h.project_id = :project AND h.odds >= :odds {behind}
        ORDER BY h.odds DESC, h.respondent_id DESC LIMIT :limit
    """)
    parameters = {"project": project_id, "odds": odds, "value": value, "number": number, "limit": limit}
    return [GoldHolderRow(*row) for row in connection.execute(query, parameters)]
