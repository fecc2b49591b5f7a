"""GLAD in plain Python."""

import math
from collections.abc import Sequence

from tests.oracles.em import Table, Triple, vote_shares


def glad(
    answers: Sequence[Triple], I: int, J: int, K: int, gold: Sequence[int], iterations: int
) -> tuple[Table, list[float]]:
    posterior = vote_shares(answers, I, K, gold)
    ability, easiness = [1.0] * J, [1.0] * I
    objectives = []
    for _ in range(iterations):
        for _ in range(2):
            for j in range(J):
                mine = [(posterior[i][label] - 0.5, math.exp(easiness[i])) for i, a, label in answers if a == j]
                gain = sum(w * beta for w, beta in mine)
                loss = sum(curvature(ability[j] * beta) * beta**2 for _, beta in mine)
                ability[j] = (1 + gain) / (1 + 2 * loss)
            for i in range(I):
                mine = [(posterior[i][label] - 0.5, ability[a]) for item, a, label in answers if item == i]
                gain = sum(w * alpha for w, alpha in mine)
                loss = sum(curvature(alpha * math.exp(easiness[i])) * alpha**2 for _, alpha in mine)
                easiness[i] = uphill(gain, loss, easiness[i])
        objective = -sum((value - 1) ** 2 for value in ability + easiness) / 2
        for i in range(I):
            joint = [-math.log(K)] * K
            for item, j, label in answers:
                if item == i:
                    right = 1 / (1 + math.exp(-ability[j] * math.exp(easiness[i])))
                    for k in range(K):
                        joint[k] += math.log(right if k == label else (1 - right) / (K - 1))
            allowed = range(K) if gold[i] < 0 else [gold[i]]
            top = max(joint[k] for k in allowed)
            total = sum(math.exp(joint[k] - top) for k in allowed)
            objective += top + math.log(total)
            posterior[i] = [math.exp(joint[k] - top) / total if k in allowed else 0.0 for k in range(K)]
        objectives.append(objective)
    return posterior, objectives


def curvature(x: float) -> float:
    return math.tanh(x / 2) / (4 * x) if abs(x) >= 1e-4 else 1 / 8


def uphill(gain: float, loss: float, u: float) -> float:
    """A Newton step of at most 1 on the bound for log β, the longest of four lengths that climbs."""

    def height(v: float) -> float:
        return gain * math.exp(v) - loss * math.exp(2 * v) - (v - 1) ** 2 / 2

    beta = math.exp(u)
    slope = gain * beta - 2 * loss * beta**2 - (u - 1)
    move = slope / (max(4 * loss * beta**2 - gain * beta, 0) + 1)
    move = min(max(move, -1), 1)
    return next((u + move * part for part in (1, 0.5, 0.25, 0.125) if height(u + move * part) > height(u)), u)
