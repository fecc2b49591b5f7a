import pytest
import torch

from consensus.skipping import USUAL, Skipping, learn, unanswerable
from tests.oracles import stopping as oracle


def test_the_probability_is_that_of_the_oracle() -> None:
    rates = Skipping(share=0.1, answerable=0.04, unanswerable=0.7)
    pairs = [(n, s) for n in range(6) for s in range(6)]

    found = unanswerable(torch.tensor([n for n, _ in pairs]), torch.tensor([s for _, s in pairs]), rates)

    expected = [oracle.unanswerable(n, s, 0.1, 0.04, 0.7) for n, s in pairs]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_the_rates_of_a_project_are_learned() -> None:
    random = torch.Generator().manual_seed(3)
    lost = torch.rand(5000, generator=random) < 0.15
    skips = (torch.rand(5000, 8, generator=random) < torch.where(lost, 0.65, 0.1)[:, None]).sum(1)

    rates = learn(8 - skips, skips)

    assert rates.share == pytest.approx(0.15, abs=0.02)
    assert rates.answerable == pytest.approx(0.1, abs=0.01)
    assert rates.unanswerable == pytest.approx(0.65, abs=0.03)


def test_where_nobody_skips_nothing_is_learned() -> None:
    assert learn(torch.tensor([3, 4]), torch.tensor([0, 0])) == USUAL


def test_a_crowd_that_skips_everything_leaves_the_rates_in_order() -> None:
    rates = learn(torch.zeros(50, dtype=torch.int64), torch.full((50,), 9))

    assert rates.answerable < 0.5 <= rates.unanswerable
    assert 0 < rates.share < 1
