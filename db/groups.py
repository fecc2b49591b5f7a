"""Groups of respondents who may share what they know of gold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from db.errors import NotFoundError

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group as clients see it."""

    name: str
    respondents: int
    odds: float | None
    """That they know gold's answers from elsewhere; None before the first refit with them."""


def put(connection: Connection, project_id: int, name: str, respondent_ids: Sequence[int]) -> GroupRow:
    """Let a group, known or not yet, be these respondents and no others; who was in another group leaves it.

    The odds of every group that lost or won somebody are forgotten until the next refit.
    """
    ids = sorted(set(respondent_ids))
    values: dict[str, object] = {"project": project_id, "name": name, "ids": ids}
    group = connection.execute(
        text(
            "INSERT INTO groups (project_id, name) VALUES (:project, :name)"
            " ON CONFLICT (project_id, name) DO UPDATE SET name = excluded.name RETURNING id"
        ),
        values,
    ).scalar_one()
    values["group"] = group
    changed = connection.execute(
        text("""
            WITH gone AS (
                DELETE FROM group_members WHERE group_id = :group AND respondent_id <> ALL(CAST(:ids AS bigint[]))
                RETURNING group_id
            ), before AS (
                SELECT group_id FROM group_members
                WHERE respondent_id = ANY(CAST(:ids AS bigint[])) AND group_id <> :group
            ), come AS (
                INSERT INTO group_members AS m (respondent_id, group_id)
                SELECT id, :group FROM unnest(CAST(:ids AS bigint[])) AS t(id) ORDER BY id
                ON CONFLICT (respondent_id) DO UPDATE SET group_id = excluded.group_id
                WHERE m.group_id <> excluded.group_id
                RETURNING group_id
            )
            SELECT group_id FROM gone UNION SELECT group_id FROM before UNION SELECT group_id FROM come
        """),
        values,
    ).scalars()
    forget = text("UPDATE groups SET odds = NULL WHERE id = ANY(CAST(:groups AS bigint[]))")
    connection.execute(forget, {"groups": sorted(changed)})
    odds = connection.execute(text("SELECT odds FROM groups WHERE id = :group"), values).scalar_one()
    return GroupRow(name, len(ids), odds)


def drop(connection: Connection, project_id: int, name: str) -> GroupRow:
    """Forget a group, which is returned as it was; its respondents are in none then.

    Raises:
        NotFoundError: there is no such group.
    """
    statement = text(
        "DELETE FROM groups g WHERE project_id = :project AND name = :name"
        " RETURNING name, (SELECT count(*) FROM group_members WHERE group_id = g.id), odds"
    )
    row = connection.execute(statement, {"project": project_id, "name": name}).one_or_none()
    if row is None:
        raise NotFoundError(f"the project has no group {name!r}")
    return GroupRow(*row)


def page(connection: Connection, project_id: int, *, odds: float, after: str, limit: int) -> list[GroupRow]:
    """Groups with such odds and more in the order of their names' bytes, those behind the name `after`.

    With odds of 0, those of which nothing is known yet, too.
    """
    query = text("""
        SELECT g.name, (SELECT count(*) FROM group_members WHERE group_id = g.id), g.odds FROM groups g
        WHERE g.project_id = :project AND g.name > :after AND coalesce(g.odds, 0) >= :odds ORDER BY g.name LIMIT :limit
    """)
    values = {"project": project_id, "odds": odds, "after": after, "limit": limit}
    return [GroupRow(*row) for row in connection.execute(query, values)]


def members(connection: Connection, project_id: int) -> tuple[Ints, Ints, Ints]:
    """Ids of the project's groups (G,); respondents (M,) ascending, and the place of each one's group among these."""
    groups = text("SELECT id FROM groups WHERE project_id = :project ORDER BY id")
    ids = np.array(connection.execute(groups, {"project": project_id}).scalars().all(), dtype=np.int64)
    inside = text(
        "SELECT respondent_id, group_id FROM group_members WHERE group_id = ANY(:groups) ORDER BY respondent_id"
    )
    rows = np.array(connection.execute(inside, {"groups": ids}).all(), dtype=np.int64).reshape(-1, 2)
    return ids, rows[:, 0], np.searchsorted(ids, rows[:, 1])


def suspect(connection: Connection, group_ids: Ints, odds: Sequence[float]) -> None:
    """Note the odds of groups."""
    connection.execute(
        text(
            "UPDATE groups g SET odds = t.odds"
            " FROM unnest(CAST(:ids AS bigint[]), CAST(:odds AS float8[])) AS t(id, odds)"
            " WHERE g.id = t.id AND g.odds IS DISTINCT FROM t.odds"
        ),
        {"ids": group_ids, "odds": list(odds)},
    )
