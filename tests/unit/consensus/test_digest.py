import pytest

from consensus.answers import Answers
from consensus.digest import digest
from tests.unit.consensus.crowds import answers_of, shuffled, small_crowd

TRIPLES = [(0, 0, 0), (1, 1, 1)]


def test_the_order_of_answers_does_not_matter() -> None:
    answers = small_crowd()

    assert digest(shuffled(answers, 1)) == digest(answers)


@pytest.mark.parametrize(
    "other",
    [
        answers_of([(0, 0, 0), (1, 1, 0)], 2, 2, 2),
        answers_of([(0, 0, 0), (1, 0, 1)], 2, 2, 2),
        answers_of([(0, 0, 0), (0, 1, 1)], 2, 2, 2),
        answers_of([*TRIPLES, TRIPLES[0]], 2, 2, 2),
        answers_of(TRIPLES, 3, 2, 2),
        answers_of(TRIPLES, 2, 2, 3),
        answers_of(TRIPLES, 2, 2, 2, gold=[-1, -1]),
    ],
)
def test_everything_else_does(other: Answers) -> None:
    assert digest(other) != digest(answers_of(TRIPLES, 2, 2, 2))


def test_what_is_declared_counts() -> None:
    answers = answers_of(TRIPLES, 2, 2, 2)

    assert digest(answers, {"model": "a", "classes": ["x"]}) == digest(answers, {"classes": ["x"], "model": "a"})
    assert len({digest(answers, {"model": name}) for name in "ab"} | {digest(answers)}) == 3


def test_it_is_the_same_tomorrow() -> None:
    assert digest(answers_of(TRIPLES, 2, 2, 2)) == "551dc9e2825a8d642cdf49bfecc5e6f8a19a25a14d3d3feb812d0d6b088562a4"
