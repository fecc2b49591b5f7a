"""Rows of numbers that a process keeps by id, in memory that is bounded."""

from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Column = npt.NDArray[Any]

_FIRST = 1024
"""Rows that there is room for at the beginning."""
_ID, _USED = "id of the row", "when it was asked for"


class Shelf:
    """Rows by id. When all places are taken, the half that was longest not asked for goes.

    Args:
        most: rows, at most.
        columns: of each column by name a row of zeros, which tells the shape and type of its rows.
    """

    def __init__(self, most: int, **columns: Column) -> None:
        self._most = most
        self._place: dict[int, int] = {}
        number = np.zeros((), dtype=np.int64)
        rows = {_ID: number, _USED: number, **columns}
        self._columns = {name: np.zeros((min(_FIRST, most), *row.shape), row.dtype) for name, row in rows.items()}
        self._taken = 0
        self._clock = 0

    def __len__(self) -> int:
        return len(self._place)

    def find(self, ids: Ints) -> Ints:
        """The place of each id, -1 of those that are not here. Places hold until the next `put`."""
        self._clock += 1
        places = np.fromiter(map(self._place.get, ids.tolist(), repeat(-1)), np.int64, len(ids))
        self._columns[_USED][places[places >= 0]] = self._clock
        return places

    def read(self, name: str, places: Ints) -> Column:
        """A column's rows at these places."""
        found: Column = self._columns[name][places]
        return found

    def write(self, places: Ints, **rows: Column) -> None:
        """Other rows for those at these places."""
        for name, values in rows.items():
            self._columns[name][places] = values

    def put(self, ids: Ints, **rows: Column) -> None:
        """Keep rows of ids, each at most once, that are not here. For a time there may be more rows than at most."""
        self._make_room(len(ids))
        places = np.arange(self._taken, self._taken + len(ids))
        self._taken += len(ids)
        self._place.update(zip(ids.tolist(), places.tolist(), strict=True))
        self.write(places, **{_ID: ids, _USED: np.full(len(ids), self._clock)}, **rows)

    def drop(self, ids: Ints) -> None:
        """Forget the rows of these ids, where they are here; their places stay taken until others need them."""
        for id_ in ids.tolist():
            self._place.pop(id_, None)

    def _make_room(self, rows: int) -> None:
        wanted = self._taken + rows
        if wanted > self._most:
            self._halve()
            self._resize(max(self._most, self._taken + rows))
        elif wanted > self._room:
            self._resize(min(self._most, max(wanted, 2 * self._room)))

    @property
    def _room(self) -> int:
        return len(self._columns[_ID])

    def _resize(self, room: int) -> None:
        for name, column in self._columns.items():
            self._columns[name] = np.zeros((room, *column.shape[1:]), column.dtype)
            self._columns[name][: self._taken] = column[: self._taken]

    def _halve(self) -> None:
        held = np.fromiter(self._place.values(), np.int64, len(self._place))
        lately = held[np.argsort(self._columns[_USED][held])]
        kept = lately[max(0, len(held) - self._most // 2) :]
        for column in self._columns.values():
            column[: len(kept)] = column[kept]
        self._taken = len(kept)
        self._place = dict(zip(self._columns[_ID][: len(kept)].tolist(), range(len(kept)), strict=True))
