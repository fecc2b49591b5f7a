import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from consensus.tempering import Tempering, learn

STATES = 20_000


def states(seed: int, scale: float, growth: float) -> tuple[Tensor, Tensor, Tensor]:
    """Posteriors that are too sure by 1 / (scale * n^-growth), after n answers, and the true classes."""
    random = torch.Generator().manual_seed(seed)
    n = torch.randint(1, 13, (STATES,), generator=random)
    honest = (2 * torch.randn(STATES, 3, dtype=torch.float64, generator=random)).log_softmax(1)
    truth = torch.multinomial(honest.exp(), 1, generator=random).squeeze(1)
    sure = (honest / (scale * n.double() ** -growth)[:, None]).softmax(1)
    return sure, n, truth


@pytest.mark.parametrize(("scale", "growth"), [(0.6, 0.0), (0.8, 0.4), (1.0, 0.7)])
def test_over_confidence_is_found_on_known_classes(scale: float, growth: float) -> None:
    posterior, n, truth = states(1, scale, growth)

    found = learn(posterior, n, one_hot(truth, 3).double())

    assert found.scale == pytest.approx(scale, abs=0.06)
    assert found.growth == pytest.approx(growth, abs=0.06)


def test_over_confidence_is_found_without_truth_from_the_answers_that_came_next() -> None:
    posterior, n, truth = states(2, 0.6, 0.2)
    confusion = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]], dtype=torch.float64)
    label = torch.multinomial(confusion[truth], 1, generator=torch.Generator().manual_seed(4)).squeeze(1)

    found = learn(posterior, n, confusion.T[label])

    assert found.scale == pytest.approx(0.6, abs=0.1)
    assert found.growth == pytest.approx(0.2, abs=0.1)


def test_a_posterior_is_never_made_surer() -> None:
    posterior, n, truth = states(3, 1.0, 0.0)
    modest = (posterior.log() / 2).softmax(1)

    found = learn(modest, n, one_hot(truth, 3).double())

    assert found.scale == 1.0
    assert found.growth == pytest.approx(0.0, abs=0.01)


def test_without_states_the_tempering_is_the_default() -> None:
    nothing = torch.zeros(0, 3, dtype=torch.float64)

    found = learn(nothing, torch.zeros(0, dtype=torch.int64), nothing)

    assert found.scale == pytest.approx(Tempering().scale, rel=0.05)
    assert found.growth == pytest.approx(Tempering().growth, abs=0.05)


def test_weights_count_states() -> None:
    posterior, n, truth = (each[:60] for each in states(4, 0.5, 0.5))
    classes = one_hot(truth, 3).double()
    whole = torch.arange(1, 61, dtype=torch.float64) % 3

    repeated = torch.arange(60).repeat_interleave(whole.long())

    assert learn(posterior, n, classes, whole) == learn(posterior[repeated], n[repeated], classes[repeated])


def test_the_order_of_classes_stays_and_certainty_is_finite() -> None:
    posterior = torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.5, 0.3]], dtype=torch.float64)

    tempered = Tempering(0.5, 0.5).apply(posterior, torch.tensor([0, 9]))

    assert tempered.argsort(dim=1, descending=True, stable=True).tolist() == [[0, 1, 2], [1, 2, 0]]
    assert bool((tempered > 0).all())
    assert tempered.sum(1).tolist() == pytest.approx([1, 1])
