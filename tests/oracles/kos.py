"""KOS in plain Python, for two classes."""

import math
from collections.abc import Sequence

from tests.oracles.em import Table, Triple, vote_shares


def kos(
    answers: Sequence[Triple], I: int, J: int, K: int, gold: Sequence[int], iterations: int
) -> tuple[Table, list[float]]:
    sign = [1.0 if label else -1.0 for _, _, label in answers]
    y = [1.0] * len(answers)
    residuals = []
    for _ in range(iterations):
        x = scaled(others([item for item, _, _ in answers], sign, y))
        x = [value if gold[item] < 0 else 2.0 * gold[item] - 1 for value, (item, _, _) in zip(x, answers, strict=True)]
        previous, y = y, scaled(others([annotator for _, annotator, _ in answers], sign, x))
        residuals.append(max((abs(a - b) for a, b in zip(y, previous, strict=True)), default=0.0))
    posterior = vote_shares(answers, I, K, gold)
    for i in range(I):
        weights = [0.0, 0.0]
        for (item, _, label), message in zip(answers, y, strict=True):
            if item == i:
                weights[label if message > 0 else 1 - label] += abs(message)
        if gold[i] < 0 and sum(weights) > 0:
            posterior[i] = [weight / sum(weights) for weight in weights]
    return posterior, residuals


def others(owners: Sequence[int], sign: Sequence[float], messages: Sequence[float]) -> list[float]:
    """For every answer the sum of sign * message over the owner's other answers."""
    return [
        math.fsum(sign[n] * messages[n] for n, other in enumerate(owners) if other == owner and n != own)
        for own, owner in enumerate(owners)
    ]


def scaled(messages: Sequence[float]) -> list[float]:
    size = math.sqrt(sum(message**2 for message in messages) / max(len(messages), 1))
    return [message / size if size > 1e-200 else message for message in messages]
