"""Where ids stand, for many at once.

A hash table of buckets that each fill a line of the processor's cache. Looking a thousand ids up in a dictionary is a
thousand waits for memory one behind the other; here they are waited for together.
"""

import numpy as np
import numpy.typing as npt

from workers.distinct import distinct

Ints = npt.NDArray[np.int64]

_WIDTH = 8
"""Ids in a bucket."""
_LOAD = 3
"""Of these, how many are taken on average, at most."""
_NONE = -1
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 by the golden ratio (Knuth, "The Art of Computer Programming", 6.4)


class Places:
    """A number, not negative, by id, not negative either.

    Args:
        room: how many may be put in; those that were dropped since count as well.
    """

    def __init__(self, room: int) -> None:
        self._bits = max(1, (room // _LOAD).bit_length())
        self._ids = np.full((1 << self._bits, _WIDTH), _NONE, dtype=np.int64)
        self._places = np.zeros((1 << self._bits) * _WIDTH, dtype=np.int64)
        self._taken = np.zeros(1 << self._bits, dtype=np.int64)
        self._rest: dict[int, int] = {}
        """What has found its bucket full."""
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def find(self, ids: Ints) -> Ints:
        """The place of each id, -1 of those that are not here."""
        places = np.full(len(ids), _NONE)
        bucket = self._buckets(ids)
        here, cells = self._cells(ids, bucket)
        places[here] = self._places[cells]
        if self._rest:
            for number in np.flatnonzero((places < 0) & (self._taken[bucket] == _WIDTH)).tolist():
                places[number] = self._rest.get(int(ids[number]), _NONE)
        return places

    def put(self, ids: Ints, places: Ints) -> None:
        """Ids that are not here, each once."""
        bucket = self._buckets(ids)
        order = np.argsort(bucket)
        ids, places, bucket = ids[order], places[order], bucket[order]
        slot = self._taken[bucket] + np.arange(len(ids)) - np.searchsorted(bucket, bucket)
        fits = slot < _WIDTH
        cells = (bucket * _WIDTH + slot)[fits]
        self._ids.ravel()[cells], self._places[cells] = ids[fits], places[fits]
        self._taken[bucket] = np.minimum(slot + 1, _WIDTH)  # of a bucket's several the last one holds
        self._rest.update(zip(ids[~fits].tolist(), places[~fits].tolist(), strict=True))
        self._size += len(ids)

    def drop(self, ids: Ints) -> None:
        """Forget ids, where they are here."""
        ids = distinct(ids)
        here, cells = self._cells(ids, self._buckets(ids))
        self._ids.ravel()[cells] = _NONE
        rest = [self._rest.pop(id_, None) for id_ in ids.tolist()] if self._rest else []
        self._size -= len(here) + len(rest) - rest.count(None)

    def all(self) -> Ints:
        """Every place, in no order."""
        return np.append(self._places[self._ids.ravel() != _NONE], np.array(list(self._rest.values()), dtype=np.int64))

    def _cells(self, ids: Ints, bucket: Ints) -> tuple[Ints, Ints]:
        """Which ids are in their buckets, and where."""
        hits = np.flatnonzero(self._ids.take(bucket, 0) == ids[:, None])
        here = hits // _WIDTH
        return here, bucket[here] * _WIDTH + hits % _WIDTH

    def _buckets(self, ids: Ints) -> Ints:
        return (ids.astype(np.uint64) * _MIX >> np.uint64(64 - self._bits)).astype(np.int64)
