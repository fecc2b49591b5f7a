"""The distribution function of Beta(a, b): for whole a and b exactly, for others by the midpoint rule."""

from fractions import Fraction
from math import comb, exp, lgamma, log, log1p

STEPS = 20_000
FALLS = 40


def beta_cdf(a: int, b: int, x: float) -> float:
    """P(Beta(a, b) <= x) = P(at least a successes in a + b - 1 trials of probability x)."""
    p, n = Fraction(x), a + b - 1
    return float(sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(a, n + 1)))


def beta_tail(a: float, b: float, x: float) -> float:
    """P(Beta(a, b) <= x) for x below a / (a + b), by integration over the logit of x to where nothing is left."""
    odds = log(x) - log1p(-x)
    step = FALLS / STEPS / (a - (a + b) * x)  # the density of the logit falls at least so fast

    def density(t: float) -> float:
        soft = log1p(exp(-abs(t)))
        return a * (min(t, 0) - soft) + b * (min(-t, 0) - soft)

    log_scale = lgamma(a + b) - lgamma(a) - lgamma(b)
    return step * sum(exp(density(odds - (n + 0.5) * step) + log_scale) for n in range(STEPS))
