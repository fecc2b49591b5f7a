"""A pile against a dictionary."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from db.pieces import Pieces
from workers.pile import Pile

ROOM = 12
LISTS = st.dictionaries(st.integers(0, ROOM - 1), st.integers(0, 700), max_size=ROOM)


def check(pile: Pile, held: dict[int, list[int]]) -> None:
    places = np.arange(ROOM)[::-1]
    found = pile[places]
    assert found.sizes.tolist() == [len(held.get(place, [])) for place in places.tolist()]
    assert found.records.tolist() == [number for place in places.tolist() for number in held.get(place, [])]


@given(st.lists(st.one_of(LISTS, st.sets(st.integers(0, ROOM - 1))), max_size=30))
def test_what_is_read_is_what_was_written(steps: list[dict[int, int] | set[int]]) -> None:
    """A dictionary is written, of a set all is kept and nothing else."""
    pile, held, count = Pile(ROOM, np.dtype(np.int64)), dict[int, list[int]](), 0
    for step in steps:
        places = np.array(sorted(step), dtype=np.int64)
        if isinstance(step, set):
            pile.keep(places, ROOM)
            held = {new: held.get(old, []) for new, old in enumerate(places.tolist())}
        else:
            sizes = np.array([step[place] for place in places.tolist()], dtype=np.int64)
            records = count + np.arange(sizes.sum())
            pile[places] = Pieces(records, sizes)
            lists = np.split(records, sizes.cumsum()[:-1]) if len(sizes) else []
            held |= {place: some.tolist() for place, some in zip(places.tolist(), lists, strict=True)}
            count += len(records)
        check(pile, held)


def test_memory_is_bounded_by_what_is_wanted() -> None:
    """A list that stays, one that is written again and again, and one that grows and goes."""
    pile, held = Pile(ROOM, np.dtype(np.int64)), {0: list(range(50))}
    pile[np.array([0])] = Pieces(np.arange(50), np.array([50]))
    for turn in range(500):
        sizes = np.array([30, turn % 100])
        records = turn * 1000 + np.arange(sizes.sum())
        pile[np.array([3, 7])] = Pieces(records, sizes)
        held |= {3: records[:30].tolist(), 7: records[30:].tolist()}
    check(pile, held)
    assert len(pile._records) == 1024
