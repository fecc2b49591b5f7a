"""A query's result as numpy columns, in one row and one message whatever its length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg.pq.abc import PGresult
from sqlalchemy import Connection

from db import arrays
from db.questions import Question, ask_all


@dataclass(frozen=True, slots=True)
class Lists:
    """N lists of numbers, most of them of the same length."""

    count: int
    """N."""
    by_length: Mapping[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]
    """Of each length that occurs, but for 0: the places of these lists, ascending, and their numbers (M, length)."""

    @classmethod
    def of(cls, rows: Sequence[Sequence[float]]) -> "Lists":
        """From lists as they are in Python."""
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        return cls(
            len(rows),
            {
                length: (np.flatnonzero(lengths == length), np.array([row for row in rows if len(row) == length]))
                for length in set(lengths.tolist()) - {0}
            },
        )

    @classmethod
    def equal(cls, table: npt.NDArray[np.float64]) -> "Lists":
        """The rows of a table."""
        return cls(len(table), {table.shape[1]: (np.arange(len(table)), table)} if table.size else {})


@dataclass(frozen=True, slots=True)
class Columns:
    """A result's columns by name."""

    numbers: Mapping[str, arrays.Array]
    lists: Mapping[str, Lists]
    blobs: Mapping[str, bytes]
    """Of columns of bytes: all values one behind the other."""
    values: Sequence[bytes | None] = ()
    """What was to stand before the columns, as it was sent."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query of which columns are wanted, in its order."""

    text: str
    """With the driver's placeholders, `%(name)s`, and without NULLs; it may lock what it reads."""
    parameters: Mapping[str, Any]
    numbers: str
    """Names of columns of numbers, between spaces."""
    lists: str = ""
    """Names of columns that are arrays of float8, likewise."""
    blobs: str = ""
    """Names of columns that are bytea, likewise."""
    common: str = ""
    """Common table expressions, `WITH ...`, that the text and the values may name."""
    values: Sequence[str] = ()
    """Expressions of one value each that are to stand before the columns."""

    @property
    def question(self) -> Question[Columns]:
        """It, as it is asked."""
        fields = [f"array_agg({name})" for name in self.numbers.split()]
        fields += [f"string_agg({name}, ''::bytea)" for name in self.blobs.split()]
        for name in self.lists.split():
            fields.append(f"array_agg(cardinality({name})), string_agg(array_send({name}), ''::bytea)")
        command = f"{self.common} SELECT {', '.join([*self.values, *fields])} FROM ({self.text}) AS t"
        return Question(command, self.parameters, self._columns, binary=True)

    def _columns(self, cursor: "psycopg.Cursor[Any]") -> Columns:
        result = cast("PGresult", cursor.pgresult)
        names, packed, raw = self.numbers.split(), self.lists.split(), self.blobs.split()
        first = len(self.values)
        everything: list[Any] = [result.get_value(0, place) for place in range(result.nfields)]
        values, found = everything[:first], everything[first:]
        if found[0] is None:
            kinds = [result.ftype(first + place) for place in range(len(names))]
            return Columns(
                {name: arrays.nothing(kind) for name, kind in zip(names, kinds, strict=True)},
                {name: Lists(0, {}) for name in packed},
                dict.fromkeys(raw, b""),
                values,
            )
        rest = iter(found[len(names) :])
        octets = {name: next(rest) for name in raw}
        return Columns(
            dict(zip(names, map(arrays.load, found), strict=False)),
            {name: _lists(arrays.load(next(rest)), next(rest)) for name in packed},
            octets,
            values,
        )


def select(
    connection: Connection,
    query: str,
    parameters: Mapping[str, Any],
    *,
    numbers: str,
    lists: str = "",
    blobs: str = "",
) -> Columns:
    """Columns of a query's result; the arguments are as in `Query`."""
    return select_all(connection, [Query(query, parameters, numbers, lists, blobs)])[0]


def select_all(connection: Connection, queries: Sequence[Query]) -> list[Columns]:
    """The same of several queries, for which Postgres is waited for once."""
    return ask_all(connection, [query.question for query in queries])


def _lists(lengths: arrays.Array, data: bytes) -> Lists:
    """From what `array_send` makes of each list, one behind the other."""
    occurring = np.unique(lengths).tolist()
    if occurring == [0]:
        return Lists(len(lengths), {})
    if len(occurring) == 1:
        return Lists(len(lengths), {occurring[0]: (np.arange(len(lengths)), arrays.load_equal(data, *occurring))})
    sizes = arrays.size(lengths)
    octets = np.frombuffer(data, np.uint8)
    found = {}
    for length in filter(None, occurring):
        mine = lengths == length
        found[length] = np.flatnonzero(mine), arrays.load_equal(octets[mine.repeat(sizes)].tobytes(), length)
    return Lists(len(lengths), found)
