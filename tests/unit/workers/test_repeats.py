"""Which repeats count, against a slow and plain reading of the policies."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import repeats


class Given(NamedTuple):
    challenge: int
    respondent: int
    choice: int
    answered_at: int
    batch_id: int
    position: int


few = st.integers(0, 2)
answers = st.lists(
    st.builds(Given, few, few, few, few, few, st.integers(0, 5)), unique_by=lambda a: (a.batch_id, a.position)
)


def plain(policy: str, all_answers: list[Given]) -> set[Given]:
    """One answer at a time, in the order of (answered_at, batch, position)."""
    kept: dict[tuple[int, ...], Given] = {}
    for answer in sorted(all_answers, key=lambda a: (a.answered_at, a.batch_id, a.position)):
        who = (answer.challenge, answer.respondent)
        if policy == "all":
            kept.setdefault((*who, answer.choice), answer)
        elif policy == "first":
            kept.setdefault(who, answer)
        else:
            kept[who] = answer
    return set(kept.values())


def counted(policy: str, all_answers: list[Given]) -> set[Given]:
    columns = np.array(all_answers, dtype=np.int64).reshape(-1, 6).T
    mask = repeats.counted(policy, **dict(zip(Given._fields, columns, strict=True)))
    assert mask.shape == (len(all_answers),)
    return {answer for answer, counts in zip(all_answers, mask.tolist(), strict=True) if counts}


@pytest.mark.parametrize("policy", ["first", "last", "all"])
@given(all_answers=answers)
def test_as_a_plain_reading_has_it(policy: str, all_answers: list[Given]) -> None:
    assert counted(policy, all_answers) == plain(policy, all_answers)


@pytest.mark.parametrize(("policy", "winner"), [("first", 1), ("last", 2)])
def test_when_it_was_answered_comes_before_when_it_was_accepted(policy: str, winner: int) -> None:
    early, late = Given(0, 0, 1, 10, 2, 0), Given(0, 0, 2, 20, 1, 0)
    assert {answer.choice for answer in counted(policy, [late, early])} == {winner}
