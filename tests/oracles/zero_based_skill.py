"""Zero-based skill in plain Python."""

from collections.abc import Sequence

from tests.oracles.em import Table, Triple
from tests.oracles.wawa import agreement, weighted


def zero_based_skill(
    answers: Sequence[Triple], I: int, J: int, K: int, gold: Sequence[int], iterations: int
) -> tuple[Table, list[float]]:
    skills, residuals = [1.0] * J, []
    for iteration in range(iterations):
        rate = 0.5 ** (iteration // 20)
        seen = agreement(answers, J, weighted(answers, I, K, gold, skills))
        residuals.append(max((abs(a - s) for a, s in zip(seen, skills, strict=True)), default=0.0))
        skills = [s + rate * (a - s) for a, s in zip(seen, skills, strict=True)]
    return weighted(answers, I, K, gold, skills), residuals
