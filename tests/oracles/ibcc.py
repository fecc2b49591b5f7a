"""iBCC in plain Python."""

import math
from collections.abc import Sequence

from tests.oracles.em import Rows, Table, Triple, climb
from tests.oracles.special import digamma, divergence, expected_logs


def pseudo_answers(K: int) -> Table:
    """4 on the diagonal; off it such that one answer is right with the same probability for every K."""
    low, high = 1e-3, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if digamma(middle) < digamma(1) - math.log(max(K - 1, 1)) else (low, middle)
    return [[4.0 if k == label else high for label in range(K)] for k in range(K)]


def ibcc(
    answers: Sequence[Triple], I: int, J: int, K: int, gold: Sequence[int], iterations: int
) -> tuple[Table, list[float]]:
    pseudo = pseudo_answers(K)

    def maximise(posterior: Table) -> tuple[Rows, float]:
        rows, log_prior = [], 0.0
        for j in range(J):
            table = [list(row) for row in pseudo]
            for item, annotator, label in answers:
                if annotator == j:
                    for k in range(K):
                        table[k][label] += posterior[item][k]
            log_prior -= sum(divergence(row, prior) for row, prior in zip(table, pseudo, strict=True))
            rows.append([[math.exp(log) for log in expected_logs(row)] for row in table])
        return rows, log_prior

    return climb(answers, I, K, gold, maximise, iterations)
