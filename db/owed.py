"""What turns owe to the statistics of respondents: moved, and not yet written to their rows.

A turn that moves thousands of respondents says in its row of `moves` by how much, which costs a twentieth of writing to
each one's row; who is moved again and again is written once for all of it. What holds of a respondent is the row, with
all that turns behind the row's own have moved.
"""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg.pq.abc import PGresult
from sqlalchemy import Connection, text

from db import arrays
from db.questions import Question

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_REST = 2
"""Columns of a debt's table besides counts."""


@dataclass(frozen=True, slots=True)
class Debt:
    """By how much a turn has moved J respondents."""

    ids: Ints
    """(J,) ascending."""
    table: Floats
    """(J, 2 * width + 2): packed counts, what of them is there because gold is clamped, counted answers, and skips."""

    @classmethod
    def of(cls, ids: Ints, counts: Floats, gold: Floats, answers: Ints, skips: Ints) -> "Debt":
        """From its parts: (J, width), likewise, (J,) and (J,)."""
        return cls(ids, np.column_stack([counts, gold, answers, skips]))

    @property
    def width(self) -> int:
        """Of the counts."""
        return (int(self.table.shape[1]) - _REST) // 2

    def dump(self) -> bytes:
        """The table, as `moves` has it: of each row how many elements are not 0, then their columns, then they."""
        there = self.table != 0
        columns = np.broadcast_to(np.arange(self.table.shape[1], dtype="<u4"), there.shape)
        return b"".join([there.sum(1, dtype="<u4").tobytes(), columns[there].tobytes(), self.table[there].tobytes()])


@dataclass(frozen=True, slots=True)
class Owed:
    """What turns owe, as it is stored: M moves of respondents, all when statistics had the same width."""

    width: int
    number: Ints
    """(M,) of the turn."""
    ids: Ints
    """(M,)"""
    sizes: Ints
    """(M,) how many elements of the move's row in `Debt.table` are not 0."""
    columns: Ints
    """(E,) of these, move by move."""
    by: Floats
    """(E,)"""

    def parts(self, moves: Ints, places: Ints, count: int) -> tuple[Floats, Floats, Ints, Ints]:
        """Sums over some moves by place: counts, gold, answers and skips, as in `Debt.of`.

        Args:
            moves: (N,) which, ascending.
            places: (N,) each one's place, below `count`.
        """
        mine = np.zeros(len(self.ids), dtype=bool)
        mine[moves] = True
        there = np.repeat(mine, self.sizes)
        row, wide = np.repeat(places, self.sizes[moves]), 2 * self.width + _REST
        table: Floats = np.bincount(row * wide + self.columns[there], self.by[there], count * wide).astype(np.float64)
        counts, gold, rest = np.split(table.reshape(count, wide), [self.width, 2 * self.width], axis=1)
        return counts, gold, rest[:, 0].astype(np.int64), rest[:, 1].astype(np.int64)


_OWING = """
FROM moves m JOIN turns t USING (project_id)
WHERE m.project_id = %(project)s AND m.number > t.paid AND m.owed IS NOT NULL ORDER BY m.number
"""
_WHO = f"SELECT ARRAY[m.number], m.respondent_ids {_OWING}"
_WHAT = f"SELECT ARRAY[m.number, m.width], m.respondent_ids, m.owed {_OWING}"


def question(project_id: int) -> Question[list[Owed]]:
    """For all that is owed to respondents of a project, by the width that statistics had.

    To be asked before their rows are: what is paid between the two is then in both, and the row says so.
    """
    return Question(_WHAT, {"project": project_id}, _owed, binary=True)


def who(project_id: int) -> Question[list[tuple[int, Ints]]]:
    """For the turns of a project that owe anything, ascending, and whom they have moved."""
    return Question(_WHO, {"project": project_id}, _turns, binary=True)


def _turns(cursor: "psycopg.Cursor[Any]") -> list[tuple[int, Ints]]:
    result = cast("PGresult", cursor.pgresult)
    found = []
    for row in range(result.ntuples):
        head, ids = (result.get_value(row, column) or b"" for column in range(2))
        (number,) = arrays.load(head).tolist()
        found.append((number, arrays.load(ids)))
    return found


def _owed(cursor: "psycopg.Cursor[Any]") -> list[Owed]:
    result = cast("PGresult", cursor.pgresult)
    turns: dict[int, list[tuple[int, Ints, bytes]]] = {}
    for row in range(result.ntuples):
        head, ids, stored = (result.get_value(row, column) or b"" for column in range(3))
        number, width = arrays.load(head).tolist()
        turns.setdefault(width, []).append((number, arrays.load(ids), stored))
    return [_together(width, some) for width, some in turns.items()]


def _together(width: int, turns: list[tuple[int, Ints, bytes]]) -> Owed:
    sizes = [np.frombuffer(stored, "<u4", len(ids)) for _, ids, stored in turns]
    entries = [int(size.sum()) for size in sizes]
    numbers = np.array([number for number, _, _ in turns])
    columns, by = [], []
    for (_, ids, stored), count in zip(turns, entries, strict=True):
        columns.append(np.frombuffer(stored, "<u4", count, offset=4 * len(ids)))
        by.append(np.frombuffer(stored, "<f8", count, offset=4 * (len(ids) + count)))
    return Owed(
        width,
        np.repeat(numbers, [len(ids) for _, ids, _ in turns]),
        np.concatenate([ids for _, ids, _ in turns]),
        np.concatenate(sizes).astype(np.int64),
        np.concatenate(columns).astype(np.int64),
        np.concatenate(by),
    )


def owes(connection: Connection, project_id: int) -> bool:
    """Whether some of a project's turns owe anything, or may do so."""
    query = text("SELECT EXISTS (SELECT FROM turns WHERE project_id = :project AND paid < number)")
    return bool(connection.execute(query, {"project": project_id}).scalar_one())


def owing(connection: Connection) -> list[int]:
    """Ids of all such projects."""
    return list(connection.scalars(text("SELECT project_id FROM turns WHERE paid < number ORDER BY project_id")))
