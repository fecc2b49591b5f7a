"""Lists of records by place, in memory that is written round and round."""

from typing import Any

import numpy as np
import numpy.typing as npt

from db.pieces import Pieces, Records

Ints = npt.NDArray[np.int64]

_FIRST = 1024
"""Records that there is room for at the beginning."""
_FILLED, _GROWN = 2 / 3, 2.0
"""Of the room, how much may be wanted at a time; and how much more room there then is than is wanted."""
_SHARE = 8
"""One in so many parts of the room is looked through at a time for what is still wanted."""


class Pile:
    """A list by place, at first all empty. None is ever a Python object, and a thousand are read or written at once.

    What is written goes behind all that was written before, from the end on at the beginning. What stands there and is
    still wanted is written anew.

    Args:
        room: places.
    """

    def __init__(self, room: int, kind: np.dtype[Any]) -> None:
        self._begins = np.zeros(room, dtype=np.int64)
        """(room,) at which record, of all that were ever written."""
        self._sizes = np.zeros(room, dtype=np.int64)
        self._records: Records = np.empty(_FIRST, kind)
        self._tail = self._head = 0
        """No list that is wanted begins before the one; the next record will be the other."""
        self._wanted = 0
        """Records in all lists."""

    @property
    def nbytes(self) -> int:
        """Memory that it takes, whether it is used or not."""
        return self._begins.nbytes + self._sizes.nbytes + self._records.nbytes

    @property
    def wanted(self) -> int:
        """Bytes of all lists."""
        return self._wanted * self._records.itemsize

    def __getitem__(self, places: Ints) -> Pieces:
        begins, sizes, room = self._begins[places], self._sizes[places], len(self._records)
        cells: Ints = np.arange(int(sizes.sum())) + np.repeat(begins % room - (sizes.cumsum() - sizes), sizes)
        cells[cells >= room] -= room
        return Pieces(self._records.take(cells), sizes)  # ten times as fast as by index

    def __setitem__(self, places: Ints, pieces: Pieces) -> None:
        """Other lists at these places, each once."""
        self._wanted += len(pieces.records) - int(self._sizes[places].sum())
        self._sizes[places] = 0
        self._make_room(len(pieces.records))
        self._append(places, pieces)

    def keep(self, places: Ints, room: int) -> None:
        """Have these places' lists first, in this order, and no others, in so much room. No record is moved."""
        self._begins, self._sizes = _rows(self._begins, places, room), _rows(self._sizes, places, room)
        self._wanted = int(self._sizes.sum())

    def _append(self, places: Ints, pieces: Pieces) -> None:
        self._begins[places], self._sizes[places] = self._head + pieces.starts, pieces.sizes
        count, start = len(pieces.records), self._head % len(self._records)
        fit = min(count, len(self._records) - start)
        self._records[start : start + fit] = pieces.records[:fit]
        self._records[: count - fit] = pieces.records[fit:]
        self._head += count

    def _make_room(self, count: int) -> None:
        """For so many records, which are wanted already."""
        if self._wanted > _FILLED * len(self._records):
            self._move(self._head, int(_GROWN * self._wanted))
        room = len(self._records)
        while self._head + count - self._tail > room:
            self._move(min(self._head, self._tail + max(count, room // _SHARE)), room)

    def _move(self, end: int, room: int) -> None:
        """Write anew what is wanted and begins before that record; with other room, all of it."""
        places = np.flatnonzero((self._begins < end) & (self._sizes > 0))
        pieces = self[places]
        if room != len(self._records):
            self._records = np.empty(room, self._records.dtype)
        ends = self._begins[places] + pieces.sizes
        self._tail = max(end, int(ends.max(initial=0)))  # what was read of the last list may be written over
        self._append(places, pieces)


def _rows(column: Ints, places: Ints, room: int) -> Ints:
    rows = np.zeros(room, dtype=np.int64)
    rows[: len(places)] = column[places]
    return rows
