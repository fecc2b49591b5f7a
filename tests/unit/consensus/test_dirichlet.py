import pytest
import torch

from consensus.dirichlet import divergence, expected_log, inverse_digamma, log_normaliser
from tests.oracles import special

COUNTS = [0.2, 3.0, 41.5]
OTHERS = [1.0, 2.5, 0.01]


def test_against_plain_python() -> None:
    counts, others = torch.tensor([COUNTS, OTHERS], dtype=torch.float64), torch.tensor([OTHERS], dtype=torch.float64)

    assert expected_log(counts)[0].tolist() == pytest.approx(special.expected_logs(COUNTS), rel=1e-12)
    assert float(log_normaliser(counts)[0]) == pytest.approx(special.log_beta(COUNTS), rel=1e-12)
    assert float(divergence(counts, others)[0]) == pytest.approx(special.divergence(COUNTS, OTHERS), rel=1e-12)
    assert float(divergence(counts, others)[1]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("x", [0.1, 0.3, 1.0, 7.5, 400.0])
def test_inverse_digamma(x: float) -> None:
    assert inverse_digamma(special.digamma(x)) == pytest.approx(x, rel=1e-9)
