import pytest
import torch

from consensus.reliability import CHUNK, interval, matched_beta
from tests.oracles.beta import beta_cdf, beta_tail


def beta_interval(a: float, b: float) -> tuple[float, float]:
    low, high = interval(torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64))
    return float(low), float(high)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 5), (40, 3), (1, 30), (12, 12), (300, 20)])
def test_whole_counts_against_the_exact_distribution(a: int, b: int) -> None:
    low, high = beta_interval(a, b)

    assert beta_cdf(a, b, low) == pytest.approx(0.025, abs=1e-4)
    assert beta_cdf(a, b, high) == pytest.approx(0.975, abs=1e-4)


@pytest.mark.parametrize(
    ("a", "b", "error"),
    [
        (0.5, 0.5, 1e-4),
        (0.5, 900.0, 1e-4),
        (9.7, 0.6, 1e-4),
        (57_000.5, 0.63, 1e-4),
        (0.05, 0.3, 1e-2),
        (4, 0.01, 1e-2),
    ],
)
def test_fractions_against_the_integral(a: float, b: float, error: float) -> None:
    low, high = beta_interval(a, b)

    assert beta_tail(a, b, low) == pytest.approx(0.025, abs=error)
    if high < 1 - 1e-9:
        assert beta_tail(b, a, 1 - high) == pytest.approx(0.025, abs=error)


@pytest.mark.parametrize("a", [0.5, 2.5, 70.0])
def test_fractions_of_answers_against_the_closed_form(a: float) -> None:
    low, high = beta_interval(a, 1.0)

    assert low**a == pytest.approx(0.025, abs=1e-4)
    assert high**a == pytest.approx(0.975, abs=1e-4)


def test_many_answers_leave_a_narrow_interval() -> None:
    low, high = beta_interval(8e5, 2e5)

    assert low == pytest.approx(0.8 - 1.96 * 0.0004, abs=1e-6)
    assert high == pytest.approx(0.8 + 1.96 * 0.0004, abs=1e-6)


def test_matched_beta_has_the_moments() -> None:
    a, b = matched_beta(torch.tensor([0.7]), torch.tensor([0.01]))

    assert float(a / (a + b)) == pytest.approx(0.7)
    assert float(a * b / ((a + b) ** 2 * (a + b + 1))) == pytest.approx(0.01)


def test_any_counts_have_an_interval() -> None:
    sizes = torch.logspace(-6, 9, 31, dtype=torch.float64)
    a, b = torch.cartesian_prod(sizes, sizes).unbind(1)
    low, high = interval(a, b)

    assert bool(((low >= 0) & (low <= high) & (high <= 1)).all())
    large = (a >= 0.5) & (b >= 0.5)
    assert bool(((low < a / (a + b)) & (a / (a + b) < high))[large].all())


def test_more_respondents_than_a_chunk() -> None:
    a = torch.linspace(1, 50, CHUNK + 3, dtype=torch.float64)
    low, high = interval(a, a.flip(0))

    assert low.shape == high.shape == a.shape
    assert bool((low.diff() > 0).all())
    torch.testing.assert_close(low.flip(0), 1 - high, rtol=0, atol=1e-4)


def test_nobody() -> None:
    nobody = torch.empty(0, dtype=torch.float64)

    assert [bound.shape for bound in interval(nobody, nobody)] == [(0,), (0,)]
