"""A shelf against a dictionary that holds everything."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from db.pieces import Pieces
from workers.shelf import Shelf

NUMBER, PAIR = np.zeros((), dtype=np.int64), np.zeros(2)
THINGS = {"things": np.dtype(np.int64)}


def things(ids: np.ndarray) -> Pieces:
    """Of each id, as many as it says, but for multiples of 7."""
    sizes = np.where(ids % 7 == 0, 0, ids)
    return Pieces(ids.repeat(sizes), sizes)


def put(shelf: Shelf, ids: np.ndarray) -> None:
    shelf.put(ids, number=ids * 2, pair=np.stack([ids, -ids], 1), things=things(ids))


def made() -> Shelf:
    return Shelf(40, THINGS, number=NUMBER, pair=PAIR)


@given(st.lists(st.tuples(st.sampled_from(["ask", "drop", "write"]), st.sets(st.integers(0, 99), max_size=15))))
def test_what_is_here_is_what_was_put(steps: list[tuple[str, set[int]]]) -> None:
    shelf = made()
    changed: dict[int, int] = {}
    for kind, some in steps:
        ids = np.array(sorted(some), dtype=np.int64)
        if kind == "drop":
            shelf.drop(ids)
            changed = {id_: value for id_, value in changed.items() if id_ not in some}
            assert (shelf.find(ids) == -1).all()
            continue
        places = shelf.find(ids)
        missing = ids[places < 0]
        changed = {id_: value for id_, value in changed.items() if id_ not in set(missing.tolist())}
        put(shelf, missing)
        places = shelf.find(ids)
        assert (places >= 0).all()
        if kind == "write":
            shelf.write(places, number=ids * 3)
            changed |= {id_: id_ * 3 for id_ in some}
        assert shelf.read("number", places).tolist() == [changed.get(id_, id_ * 2) for id_ in ids.tolist()]
        assert shelf.read("pair", places).tolist() == [[id_, -id_] for id_ in ids.tolist()]
        found = shelf.lists("things", places)
        assert found.sizes.tolist() == things(ids).sizes.tolist()
        assert found.records.tolist() == things(ids).records.tolist()
        assert len(shelf) <= 40


def test_what_was_longest_not_asked_for_goes() -> None:
    shelf = made()
    put(shelf, np.arange(20))
    put(shelf, np.arange(20, 40))
    assert (shelf.find(np.arange(10)) >= 0).all()
    put(shelf, np.array([99]))
    assert len(shelf) == 21
    assert (shelf.find(np.arange(10)) >= 0).all()
    assert (shelf.find(np.array([99])) >= 0).all()


def test_where_lists_are_long_there_is_room_for_fewer_rows() -> None:
    shelf = Shelf(1000, THINGS, 8 * 3000, number=NUMBER, pair=PAIR)
    for start in range(0, 200, 20):
        ids = np.arange(start, start + 20)
        assert (shelf.find(ids) < 0).all()
        put(shelf, ids)
        places = shelf.find(ids)
        assert shelf.lists("things", places).records.tolist() == things(ids).records.tolist()
    assert 20 <= len(shelf) < 50
    assert shelf.pressed


def test_long_lists_that_were_just_asked_for_stay() -> None:
    shelf = Shelf(1000, THINGS, 8 * 3000, number=NUMBER, pair=PAIR)
    shelf.mark()
    for end in range(520, 620, 20):
        shelf.find(np.arange(500, end))
        put(shelf, np.arange(end - 20, end))
        assert (shelf.find(np.arange(500, end)) >= 0).all()


def test_there_is_room_for_more_than_at_the_beginning() -> None:
    shelf = Shelf(5000, THINGS, number=NUMBER, pair=PAIR)
    for start in range(0, 5000, 500):
        put(shelf, np.arange(start, start + 500))
    places = shelf.find(np.arange(5000))
    assert shelf.read("number", places).tolist() == list(range(0, 10_000, 2))


def test_more_than_there_is_room_for_finds_room_all_the_same() -> None:
    shelf = made()
    put(shelf, np.arange(10))
    put(shelf, np.arange(100, 190))
    assert (shelf.find(np.arange(100, 190)) >= 0).all()
    put(shelf, np.arange(200, 210))
    assert (shelf.find(np.arange(200, 210)) >= 0).all()
    assert len(shelf) <= 110
    put(shelf, np.arange(300, 310))
    assert len(shelf) <= 40


def test_where_no_row_is_given_the_shelf_has_its_own() -> None:
    shelf = Shelf(2, THINGS, number=np.array(-1), pair=np.array([1.0, np.nan]))
    ids = np.array([3, 1])
    for some in (ids, ids + 10, ids + 20):  # of places that others had
        places = shelf.put(some[shelf.find(some) < 0])
        assert shelf.read("number", places).tolist() == [-1, -1]
        assert shelf.lists("things", places).sizes.tolist() == [0, 0]
        np.testing.assert_array_equal(shelf.read("pair", places), [[1, np.nan]] * 2)
        shelf.write(places, number=ids, pair=np.zeros((2, 2)), things=things(ids))
    places = shelf.put(np.array([5]), number=np.array([9]))
    assert shelf.read("number", places).tolist() == [9]


def test_what_two_turns_have_asked_for_stays() -> None:
    shelf = made()  # of 40

    def ask(first: int) -> np.ndarray:
        ids = np.arange(first, first + 15)
        put(shelf, ids[shelf.find(ids) < 0])
        return ids

    assert not shelf.pressed
    before: list[np.ndarray] = []
    for turn in range(20):
        shelf.mark()
        asked = [ask(60 * turn), ask(60 * turn + 15), ask(60 * turn + 30)]
        assert (shelf.find(np.concatenate([*before, *asked])) >= 0).all()
        before = asked
    assert len(shelf) <= 3 * 45
    assert shelf.pressed


def test_places_hold_while_what_was_missing_is_put() -> None:
    """Also where what two turns in a row have asked for is more than there is room for."""
    shelf = made()
    shelf.mark()
    put(shelf, np.arange(30))
    shelf.mark()
    ids = np.arange(15, 55)
    places = shelf.find(ids)
    put(shelf, ids[places < 0])
    here = places >= 0
    assert shelf.read("number", places[here]).tolist() == (ids[here] * 2).tolist()


def test_what_was_dropped_makes_room_before_anything_goes() -> None:
    shelf = made()
    put(shelf, np.arange(20))
    for start in range(100, 200, 10):
        put(shelf, np.arange(start, start + 10))
        shelf.drop(np.arange(start, start + 10))
    assert not shelf.pressed
    assert (shelf.find(np.arange(20)) >= 0).all()
