"""The stop rule for one challenge, by enumeration."""

from itertools import combinations
from math import prod


def unanswerable(answers: int, skips: int, share: float, a: float, b: float) -> float:
    """Bayes' theorem over the two kinds of challenge, one response after another."""
    odds = [share * prod([b] * skips + [1 - b] * answers), (1 - share) * prod([a] * skips + [1 - a] * answers)]
    return odds[0] / sum(odds)


def decide(posterior: list[float], cost: list[list[float]]) -> tuple[int, float]:
    """The first of the cheapest answers and its expected cost; cost[decided][true]."""
    K = len(posterior)
    risks = [sum(posterior[k] * cost[d][k] for k in range(K)) for d in range(K)]
    return risks.index(min(risks)), min(risks)


def rivals(posterior: list[float], cost: list[list[float]], target: float) -> int:
    """The size of the smallest set of classes without which the answer would be settled."""
    K = len(posterior)
    answer, _ = decide(posterior, cost)
    share = [posterior[k] * cost[answer][k] for k in range(K)]
    return min(
        size
        for size in range(K + 1)
        for named in combinations(range(K), size)
        if sum(share[k] for k in range(K) if k not in named) <= target
    )
