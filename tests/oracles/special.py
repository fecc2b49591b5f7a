"""Special functions for whoever has no library."""

import math
from collections.abc import Sequence


def digamma(x: float) -> float:
    """By recurrence to x >= 30 and the asymptotic series there."""
    shift = 0.0
    while x < 30:
        shift -= 1 / x
        x += 1
    square = 1 / (x * x)
    return shift + math.log(x) - 0.5 / x - square * (1 / 12 - square * (1 / 120 - square / 252))


def log_beta(counts: Sequence[float]) -> float:
    """The log of the multivariate beta function."""
    return sum(map(math.lgamma, counts)) - math.lgamma(sum(counts))


def expected_logs(counts: Sequence[float]) -> list[float]:
    """E log θ under Dirichlet(counts)."""
    return [digamma(x) - digamma(sum(counts)) for x in counts]


def divergence(posterior: Sequence[float], prior: Sequence[float]) -> float:
    """Kullback-Leibler divergence between Dirichlet distributions."""
    logs = expected_logs(posterior)
    change = sum((a - b) * log for a, b, log in zip(posterior, prior, logs, strict=True))
    return change - log_beta(posterior) + log_beta(prior)
