"""Who is owed: paid first come first, nobody is forgotten, and no turn counts as paid before it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import debts
from workers.debts import UNKNOWN, Debts, Ints, Number


def some(*ids: int) -> Ints:
    return np.array(ids, dtype=np.int64)


moves = st.lists(st.sets(st.integers(0, 40), max_size=12).map(sorted), min_size=1, max_size=30)


@given(moves, st.integers(1, 9), st.integers(1, 60), st.integers(1, 20))
def test_everybody_is_paid_and_nothing_counts_as_paid_before(
    turns: list[list[int]], least: int, span: int, block: int
) -> None:
    """Against a set of who is owed since when."""
    owed: dict[int, int] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(debts, "LEAST", least)
        patch.setattr(debts, "MOVES", span)
        patch.setattr(debts, "BLOCK", block)
        now = Debts.none()
        for number, ids in enumerate([*turns, *([[]] * 50)], 1):
            due, now = now.due(now.pace(len(ids)))
            for respondent in due.tolist():
                del owed[respondent]
            fresh = [respondent for respondent in ids if respondent not in owed and respondent not in due]
            now = now.owe(Number(number), some(*fresh))
            owed |= dict.fromkeys(fresh, number)
            assert len(now) == len(owed)
            assert now.paid(number) < min(owed.values(), default=number + 1)
            assert now.ids.tolist() == np.flatnonzero(now.holds(np.arange(41))).tolist() == sorted(owed)
            assert all(now.touch(some(respondent)) for respondent in owed)
            assert not now.touch(some(*(set(range(41)) - set(owed))))
    assert not owed
    assert now.paid(80) == 80


def test_the_first_to_be_owed_are_the_first_to_be_paid() -> None:
    now = Debts.none()
    for number in range(3):
        now = now.owe(Number(number + 1), np.arange(5000) + 5000 * number)
    due, left = now.due(1000)
    assert due.tolist() == list(range(1000))
    assert now.paid(9) == left.paid(9) == 0
    due, left = now.due(7500)
    assert left.paid(9) == 1


def test_in_a_hurry_everybody_is_paid_within_a_few_turns() -> None:
    now, turns = Debts.none().owe(Number(1), np.arange(100_000)), 0
    while len(now):
        assert now.pace(0) == debts.LEAST
        due, now = now.due(now.pace(0, hurried=True))
        assert len(due) <= debts.HURRY
        turns += 1
    assert turns < 30


def test_few_who_are_moved_all_the_time_do_not_keep_old_turns() -> None:
    now = Debts.none().owe(Number(1), np.arange(100))
    for number in range(2, 1000):
        due, now = now.due(now.pace(600))
        now = now.owe(Number(number), due)
    assert len(now) == 100
    assert now.paid(1000) > 1000 - 3 * debts.SPAN


def test_whose_row_is_right_is_owed_nothing() -> None:
    now = Debts.none().owe(Number(3), some(1, 2, 3)).without(some(2, 9, 2))
    assert now.touch(some(1))
    assert not now.touch(some(2))
    assert now.paid(7) == 2
    assert now.without(some(3, 1)).paid(7) == 7


def test_of_what_is_not_known_anything_may_be_owed() -> None:
    assert UNKNOWN.touch(some(1))
    assert UNKNOWN.owe(Number(1), some(2)) == UNKNOWN
    assert not Debts.none().touch(some(1))


def test_the_same_is_found_out_from_what_is_stored() -> None:
    found = Debts.of([(4, some(1, 2, 3)), (6, some(2, 5)), (7, some(1, 5))])
    assert len(found) == 4
    assert found.known
    assert found.paid(9) == 3
    due, left = found.due(3)
    assert due.tolist() == [1, 2, 3]
    assert left.touch(some(5))
    assert Debts.of([]).paid(9) == 9
