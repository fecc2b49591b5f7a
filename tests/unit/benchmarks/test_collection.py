import pytest
import torch

from benchmarks.collection import rivals
from benchmarks.collection.buying import Buyer
from benchmarks.collection.curves import Point, cost, frontier, saved
from benchmarks.collection.rivals import Arrivals
from consensus import one_coin
from consensus.answers import Answers
from consensus.form import Form
from consensus.simulation import Kind, simulate
from consensus.stopping import Rule, Status

OURS = [Point(0.2, 1.0, 0.3), Point(0.1, 2.0, 0.2), Point(0.15, 3.0, 0.25), Point(0.01, 4.0, 0.1)]
THEIRS = [Point(1, 2.0, 0.3), Point(2, 4.0, 0.2), Point(3, 8.0, 0.1)]


def test_costs_run_along_the_points_that_nothing_beats() -> None:
    assert [point.answers for point in frontier(OURS)] == [1, 2, 4]
    assert [cost(OURS, error) for error in (0.4, 0.3, 0.25, 0.15, 0.1)] == pytest.approx([1, 1, 1.5, 3, 4])
    assert cost(OURS, 0.05) == float("inf")


def test_the_share_saved() -> None:
    assert saved(OURS, THEIRS) == pytest.approx(0.5)
    assert saved(OURS, [Point(1, 4.0, 0.5)]) == pytest.approx(0.75)
    assert saved(OURS, [Point(1, 1.0, 0.05)]) is None


def choices(said: list[tuple[int, int, int]], K: int, gold: list[int] | None = None) -> Answers:
    """(item, annotator, label) of two items and three annotators."""
    item, annotator, label = (torch.tensor(codes) for codes in zip(*said, strict=True))
    return Answers(item, annotator, label, 9, 3, K, None if gold is None else torch.tensor(gold))


GOLD = choices(
    [(item, 0, 0 if item else 1) for item in range(4)] + [(item, 1, 0) for item in range(4)], 3, [0] * 4 + [-1] * 5
)
"""Qualities 0.7, 0.9 and, without gold, 0.5."""


def test_dynamic_overlap_gives_the_confidence_of_its_guide() -> None:
    """Two respondents of quality 0.7 and 0.9 who agree: 97.7 %; who differ: 76.1 % for the better one's."""
    agree = Arrivals.of(choices([(5, 0, 1), (5, 1, 1)], 3), torch.arange(2))
    differ = Arrivals.of(choices([(5, 0, 1), (5, 1, 2), (5, 2, 2)], 3), torch.arange(3))

    assert [int(rivals.dynamic_overlap(agree, GOLD, t)[0][5]) for t in (0.69, 0.976)] == [1, 2]
    for threshold, used in ((0.76, 2), (0.762, 3)):
        answers, scores = rivals.dynamic_overlap(differ, GOLD, threshold)
        assert int(answers[5]) == used
        assert int(scores[5].argmax()) == 2


def test_rivals_stop_at_the_first_answer_that_suffices_in_order_of_arrival() -> None:
    said = choices([(1, 0, 0), (0, 1, 1), (1, 1, 1), (0, 0, 1), (1, 2, 1)], 2)
    arrivals = Arrivals.of(said, torch.tensor([4, 3, 2, 1, 0]))

    answers, votes = rivals.agreeing(arrivals, 2)

    assert answers.tolist() == [2, 2] + [0] * 7
    assert votes[:2].tolist() == [[0, 2], [0, 2]]
    assert rivals.fixed(arrivals, 3)[0].tolist() == [2, 3] + [0] * 7


def test_what_is_bought_settles_most_challenges_before_their_answers_run_out() -> None:
    crowd = simulate(1, 80, 2, 960, 30, {Kind.SPAMMER: 0.1})
    rule = Rule(target=0.1)

    arrivals = Arrivals.of(crowd.answers, torch.arange(crowd.answers.N))

    bought = Buyer(one_coin.MODEL, arrivals.answers, Form.FULL, arrivals.place).run(rule)

    available = torch.bincount(crowd.answers.item, minlength=80)
    settled = bought.stop.status == Status.SETTLED
    assert bool((bought.answers <= available).all())
    assert int(settled.sum()) > 40
    assert int(bought.answers.sum()) < 0.9 * crowd.answers.N
