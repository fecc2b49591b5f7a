"""MACE in plain Python: competence by bisection."""

import math
from collections.abc import Sequence

from tests.oracles.em import Rows, Table, Triple, climb, vote_shares


def mace(
    answers: Sequence[Triple], I: int, J: int, K: int, gold: Sequence[int], iterations: int
) -> tuple[Table, list[float]]:
    votes = vote_shares(answers, I, K, gold)
    right = 7.0 + sum(votes[item][label] for item, _, label in answers)
    wrong_share = 1 - right / (10 + len(answers))
    known = min(max(1 - wrong_share * K / (K - 1), 0.1), 0.9)
    A, D = 4 * known, 4 * (1 - known)

    def maximise(posterior: Table) -> tuple[Rows, float]:
        rows, log_prior = [], 0.0
        for j in range(J):
            c, m = [0.0] * K, [D / K] * K
            for item, annotator, label in answers:
                if annotator == j:
                    c[label] += posterior[item][label]
                    m[label] += 1 - posterior[item][label]
            theta, phi = competence(c, m, A)
            log_prior += A * math.log(theta) + sum(D / K * math.log(share) for share in phi)
            rows.append([[theta * (k == label) + phi[label] for label in range(K)] for k in range(K)])
        return rows, log_prior

    return climb(answers, I, K, gold, maximise, iterations)


def competence(c: Sequence[float], m: Sequence[float], A: float) -> tuple[float, list[float]]:
    """θ and φ that maximise Σ c log(θ + φ) + Σ m log φ + A log θ with θ + Σ φ = 1."""
    total = sum(c) + sum(m) + A

    def guesses(theta: float) -> list[float]:
        """Where the derivative by each φ, c / (θ + φ) + m / φ, is the multiplier."""
        phi = []
        for right, wrong in zip(c, m, strict=True):
            b = right + wrong - total * theta
            root = math.sqrt(b * b + 4 * total * wrong * theta)
            phi.append((b + root) / (2 * total) if b > 0 else 2 * wrong * theta / (root - b))
        return phi

    low, high = 0.0, 1.0
    for _ in range(80):
        theta = (low + high) / 2
        low, high = (theta, high) if theta + sum(guesses(theta)) < 1 else (low, theta)
    return high, guesses(high)
