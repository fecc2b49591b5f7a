"""The posterior of a respondent's accuracy, on cells of its logit too many and too narrow to matter."""

from collections.abc import Sequence
from math import exp, log, log1p

STEPS, REACH = 4000, 30.0


def weigh(a: float, b: float, right: Sequence[float], K: int, bar: float) -> tuple[float, float, float, float]:
    """Beta(a, b) and answers that are right with these probabilities -> mean, 2.5 % and 97.5 % quantile, p(θ > bar)."""
    rates, logs = [], []
    for step in range(STEPS):
        t = REACH * (2 * (step + 0.5) / STEPS - 1)
        rate = 1 / (1 + exp(-t))
        density = -a * log1p(exp(-t)) - b * log1p(exp(t))
        rates.append(rate)
        logs.append(density + sum(log(rate * h + (1 - rate) * (1 - h) / (K - 1)) for h in right))
    masses = [exp(value - max(logs)) for value in logs]
    total = sum(masses)

    def quantile(probability: float) -> float:
        below = 0.0
        for mass, rate in zip(masses, rates, strict=True):
            below += mass / total
            if below > probability:
                return rate
        return 1.0

    mean = sum(mass * rate for mass, rate in zip(masses, rates, strict=True)) / total
    above = sum(mass for mass, rate in zip(masses, rates, strict=True) if rate > bar) / total
    return mean, quantile(0.025), quantile(0.975), above
