from math import sqrt

import pytest
import torch
from torch import Tensor

from consensus.skipping import Skipping
from consensus.stopping import Rule, Status, stop
from tests.oracles import stopping as oracle

POSTERIOR = torch.tensor([[0.97, 0.02, 0.01], [0.5, 0.45, 0.05], [0.4, 0.35, 0.25]], dtype=torch.float64)
COSTS = [[0.0, 1.5, 1.0], [1.0, 0.0, 1.0], [9.0, 0.5, 0.0]]  # [decided][true]


def answers(*counts: int) -> Tensor:
    return torch.tensor(counts)


def names(status: Tensor) -> list[str]:
    return [Status(code).name for code in status.tolist()]


def test_settled_below_the_target_else_open_until_the_maximum() -> None:
    rule = Rule(target=0.05, minimum=2, maximum=10)

    assert names(stop(POSTERIOR, answers(2, 9, 10), rule).status) == ["SETTLED", "OPEN", "AMBIGUOUS"]
    assert names(stop(POSTERIOR, answers(1, 9, 9), rule).status) == ["OPEN", "OPEN", "OPEN"]
    assert names(stop(POSTERIOR, answers(99, 99, 99), Rule(target=0.05)).status) == ["SETTLED", "OPEN", "OPEN"]


def test_rivals_are_named_where_ambiguous() -> None:
    ends = stop(POSTERIOR, answers(10, 10, 10), Rule(target=0.06, maximum=10))

    assert ends.rivals.tolist() == [[False, False, False], [False, True, False], [False, True, True]]


def test_the_decision_and_the_rivals_are_those_of_the_oracle() -> None:
    random = torch.Generator().manual_seed(5)
    posterior = torch.rand(200, 3, dtype=torch.float64, generator=random).pow(3)
    posterior /= posterior.sum(1, keepdim=True)
    cost = torch.tensor(COSTS, dtype=torch.float64)

    ends = stop(posterior, torch.full((200,), 5), Rule(target=0.3, maximum=5, cost=cost))

    for row, answer, expected, status, rivals in zip(
        posterior.tolist(), ends.answer, ends.cost, ends.status, ends.rivals, strict=True
    ):
        best, least = oracle.decide(row, COSTS)
        assert int(answer) == best
        assert float(expected) == pytest.approx(least)
        assert status == (Status.SETTLED if expected <= 0.3 else Status.AMBIGUOUS)
        assert int(rivals.sum()) == oracle.rivals(row, COSTS, 0.3)


def test_a_costly_error_changes_the_answer() -> None:
    posterior = torch.tensor([[0.8, 0.2]], dtype=torch.float64)
    cost = torch.tensor([[0.0, 10.0], [1.0, 0.0]], dtype=torch.float64)

    assert stop(posterior, answers(3), Rule()).answer.tolist() == [0]
    assert stop(posterior, answers(3), Rule(cost=cost)).answer.tolist() == [1]


def test_no_answer_is_asked_for_that_costs_more_than_certainty_is_worth() -> None:
    posterior = torch.tensor([[0.9, 0.1]], dtype=torch.float64)

    assert names(stop(posterior, answers(2), Rule(target=0.05, price=0.05)).status) == ["OPEN"]
    assert names(stop(posterior, answers(2), Rule(target=0.05, price=0.2)).status) == ["AMBIGUOUS"]


def test_many_skips_make_a_challenge_unanswerable_and_no_answer_settles_it() -> None:
    posterior = torch.tensor([[0.99, 0.01]] * 4, dtype=torch.float64)
    skips = answers(0, 1, 5, 5)

    ends = stop(posterior, answers(3, 3, 1, 0), Rule(minimum=2, maximum=6), skips, Skipping(0.1, 0.05, 0.7))

    assert names(ends.status) == ["SETTLED", "OPEN", "UNANSWERABLE", "UNANSWERABLE"]
    assert float(ends.cost[3]) == pytest.approx(1 - oracle.unanswerable(0, 5, 0.1, 0.05, 0.7))


def test_skips_count_towards_the_maximum() -> None:
    posterior = torch.full((1, 2), 0.5, dtype=torch.float64)

    assert names(stop(posterior, answers(3), Rule(maximum=4), answers(1)).status) == ["AMBIGUOUS"]


def test_no_items() -> None:
    ends = stop(torch.zeros(0, 3, dtype=torch.float64), torch.zeros(0, dtype=torch.int64), Rule(maximum=3))

    assert ends.status.shape == (0,)
    assert ends.rivals.shape == (0, 3)


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("target", {"target": 0.0}),
        ("unanswerable", {"unanswerable": 0.0}),
        ("price", {"price": -1.0}),
        ("minimum", {"minimum": 0}),
        ("maximum", {"minimum": 3, "maximum": 2}),
        ("cost", {"cost": torch.zeros(2, 3)}),
        ("cost", {"cost": torch.eye(2)}),
    ],
)
def test_a_rule_out_of_range_names_the_field(field: str, arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        Rule(**arguments)  # type: ignore[arg-type]


def test_costs_must_be_those_of_the_classes() -> None:
    with pytest.raises(ValueError, match=r"^cost: "):
        stop(POSTERIOR, answers(1, 1, 1), Rule(cost=torch.zeros(2, 2)))


def test_looking_after_every_answer_keeps_the_error_at_the_expected_one() -> None:
    """A crowd of known accuracy 0.7 on 20,000 binary challenges, looked at after each of up to 40 answers.

    Realised and expected errors of the settled differ by less than 4 standard errors: with a fixed seed, always.
    """
    I, accuracy, target = 20_000, 0.7, 0.05
    random = torch.Generator().manual_seed(11)
    truth = torch.randint(2, (I,), generator=random)
    right = torch.rand(I, 40, generator=random) < accuracy
    said = torch.where(right, truth[:, None], 1 - truth[:, None])
    evidence = ((2 * said - 1).cumsum(1) * torch.tensor(accuracy, dtype=torch.float64).logit()).sigmoid()
    done = torch.zeros(I, dtype=torch.bool)
    wrong = expected = 0.0
    for look in range(40):
        posterior = torch.stack([1 - evidence[:, look], evidence[:, look]], 1)
        ends = stop(posterior, torch.full((I,), look + 1), Rule(target=target))
        new = (ends.status == Status.SETTLED) & ~done
        wrong += int((ends.answer != truth)[new].sum())
        expected += float(ends.cost[new].sum())
        done |= new

    settled = int(done.sum())
    assert settled > 0.99 * I
    assert expected <= target * settled
    assert abs(wrong - expected) < 4 * sqrt(expected)
