import pytest
import torch

from consensus.registry import get
from consensus.scores import score
from consensus.simulation import Kind, simulate
from tests.unit.consensus.crowds import triples_of


def test_a_seed_is_a_crowd() -> None:
    first, again, other = simulate(1), simulate(1), simulate(2)

    assert triples_of(first.answers) == triples_of(again.answers)
    assert torch.equal(first.truth, again.truth)
    assert triples_of(first.answers) != triples_of(other.answers)


def test_everybody_is_there() -> None:
    crowd = simulate(1)

    assert (crowd.answers.N, crowd.answers.I, crowd.answers.K) == (20_000, 2000, 4)
    assert len({(item, annotator) for item, annotator, _ in triples_of(crowd.answers)}) == 20_000
    assert crowd.answers.item.unique().numel() == 2000
    assert set(crowd.kinds) == set(Kind)
    torch.testing.assert_close(crowd.confusion.sum(2), torch.ones(150, 4, dtype=torch.float64))


def test_skill_is_what_answers_show() -> None:
    crowd = simulate(1, challenges=20_000, answers=200_000, respondents=40)
    right = (crowd.answers.label == crowd.truth[crowd.answers.item]).to(torch.float64)
    shown = torch.zeros(40, dtype=torch.float64).index_add(0, crowd.answers.annotator, right)
    shown /= torch.bincount(crowd.answers.annotator, minlength=40)

    torch.testing.assert_close(shown, crowd.skill, rtol=0, atol=0.05)


def test_the_ring_speaks_with_one_voice() -> None:
    crowd = simulate(1)
    ring = torch.tensor([kind is Kind.RING for kind in crowd.kinds])
    said: dict[int, set[int]] = {}
    for item, annotator, label in triples_of(crowd.answers):
        if ring[annotator]:
            said.setdefault(item, set()).add(label)

    assert all(len(labels) == 1 for labels in said.values())


@pytest.mark.parametrize("seed", range(5))
def test_inference_beats_the_vote_clearly(seed: int) -> None:
    crowd = simulate(seed)
    votes, inferred = (
        score(get(name).fit(crowd.answers).posterior, crowd.truth) for name in ("majority", "dawid-skene")
    )

    assert 0.75 < votes.accuracy < 0.88
    assert inferred.accuracy > votes.accuracy + 0.05
    assert inferred.log_loss < votes.log_loss


@pytest.mark.parametrize("K", [1, 2, 100])
def test_other_numbers_of_classes(K: int) -> None:
    assert simulate(1, challenges=50, classes=K, answers=200, respondents=20).answers.N == 200


def test_more_answers_than_the_crowd_can_give() -> None:
    with pytest.raises(ValueError, match="answers: "):
        simulate(1, challenges=10, answers=100, respondents=10)
