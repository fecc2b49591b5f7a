"""The distribution function of Beta(a, b) for whole a and b, exactly."""

from fractions import Fraction
from math import comb


def beta_cdf(a: int, b: int, x: float) -> float:
    """P(Beta(a, b) <= x) = P(at least a successes in a + b - 1 trials of probability x)."""
    p, n = Fraction(x), a + b - 1
    return float(sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(a, n + 1)))
