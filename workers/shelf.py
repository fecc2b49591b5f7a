"""Rows that a process keeps by id, in memory that is bounded."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from db.pieces import Pieces
from workers.pile import Pile
from workers.places import Places

Ints = npt.NDArray[np.int64]
Column = npt.NDArray[Any]

NO_LISTS: Mapping[str, np.dtype[Any]] = MappingProxyType({})
_FIRST = 1024
"""Rows that there is room for at the beginning."""
_FULL = 7 / 8
"""Of places that are all taken, how many are held where rows must go: fewer are moved together, over dropped ones."""
_ANY = _NEVER = 1 << 62
_LATELY = 4096
"""Times that rows were asked for."""
_ID, _USED = "id of the row", "when it was asked for"


class Shelf:
    """Rows by id. When all places are taken, or the lists are too long, the half that was longest not asked for goes;
    never what was asked for last, nor since the last mark but one.

    Args:
        most: rows, at most.
        lists: of columns of lists by name the kind of their records; where none is given, a list is empty.
        listed: bytes of all lists of a column, at most, before more rows find room.
        columns: of each other column by name the row that stands where none is given; all are of its shape and type.
    """

    def __init__(
        self, most: int, lists: Mapping[str, np.dtype[Any]] = NO_LISTS, listed: int = _ANY, **columns: Column
    ) -> None:
        self._most = most
        self._listed = listed
        number = np.zeros((), dtype=np.int64)
        self._rows = {_ID: number, _USED: number, **columns}
        self._row = sum(column.nbytes for column in self._rows.values())
        room = min(_FIRST, most)
        self._columns = self._blank(room)
        self._lists = {name: Pile(room, kind) for name, kind in lists.items()}
        self._place = Places(self._room)
        self._taken = 0
        self._clock = 0
        self._marks = _NEVER, _NEVER
        self._shed: int | None = None

    def __len__(self) -> int:
        return len(self._place)

    @property
    def nbytes(self) -> int:
        """Memory that it takes, whether it is used or not."""
        return self._room * self._row + sum(pile.nbytes for pile in self._lists.values())

    def _blank(self, room: int) -> dict[str, Column]:
        """Columns of this length. What is in one row stands together: whoever reads of it has waited for all."""
        kinds = [(name, row.dtype, row.shape) for name, row in self._rows.items()]
        table = np.zeros(room, np.dtype(kinds, align=True))
        return {name: table[name] for name in self._rows}

    def mark(self) -> None:
        """A turn begins. What it and the one before ask for stays: that one may be in the middle of its commit."""
        now = self._clock + 1
        self._marks = min(self._marks[1], now), now

    @property
    def pressed(self) -> bool:
        """Whether rows have gone for want of room of late."""
        return self._shed is not None and self._clock - self._shed < _LATELY

    def find(self, ids: Ints) -> Ints:
        """The place of each id, -1 of those that are not here.

        Places hold until the next `find`, or until others are `put` here than were missing: for these there is room.
        """
        self._clock += 1
        places = self._place.find(ids)
        self._columns[_USED][places[places >= 0]] = self._clock
        missing = int(np.count_nonzero(places < 0))
        return self._place.find(ids) if self._make_room(missing) else places

    def read(self, name: str, places: Ints) -> Column:
        """A column's rows at these places."""
        found: Column = self._columns[name][places]
        return found

    def lists(self, name: str, places: Ints) -> Pieces:
        """A column's lists at these places."""
        return self._lists[name][places]

    def write(self, places: Ints, **rows: Column | Pieces) -> None:
        """Other rows for those at these places, each once."""
        for name, values in rows.items():
            if isinstance(values, Pieces):
                self._lists[name][places] = values
            else:
                self._columns[name][places] = values

    def put(self, ids: Ints, **rows: Column | Pieces) -> Ints:
        """Keep rows of ids, each at most once, that are not here; of columns that are not given, the shelf's own.

        For a time there may be more rows than at most.

        Returns:
            Their places.
        """
        if self._taken + len(ids) > self._room:  # else there is room: it was made when they were not found
            self._make_room(len(ids))
        places = np.arange(self._taken, self._taken + len(ids))
        self._taken += len(ids)
        self._place.put(ids, places)
        self.write(places, **self._rows | {_ID: ids, _USED: np.full(len(ids), self._clock)} | rows)
        return places

    def drop(self, ids: Ints) -> None:
        """Forget the rows of these ids, where they are here; their places stay taken until others need them."""
        self._place.drop(ids)

    def _make_room(self, rows: int) -> bool:
        """Whether other rows had to be moved for it."""
        wanted, heavy = self._taken + rows, any(pile.wanted > self._listed for pile in self._lists.values())
        if rows and (wanted > self._most or heavy):
            held = self._place.all()
            if heavy or len(held) + rows > _FULL * self._most:
                used = self._columns[_USED][held]
                half = min(self._most, len(held)) // 2
                kept = max(half, int(np.count_nonzero(used >= min(self._clock, self._marks[0]))))
                self._shed = self._clock
                held = held[np.argsort(used)][max(0, len(held) - kept) :]
            self._keep(held, max(min(self._most, self._room), len(held) + rows))
        elif wanted > self._room:
            self._keep(np.sort(self._place.all()), min(self._most, max(wanted, 2 * self._room)))
        else:
            return False
        return True

    @property
    def _room(self) -> int:
        return len(self._columns[_ID])

    def _keep(self, places: Ints, room: int) -> None:
        """Nothing but what is at these places; with so much room from now on."""
        kept = self._blank(room)
        for name, column in self._columns.items():
            kept[name][: len(places)] = column[places]
        self._columns, self._taken = kept, len(places)
        for pile in self._lists.values():
            pile.keep(places, room)
        self._place = Places(room)
        self._place.put(kept[_ID][: len(places)], np.arange(len(places)))
