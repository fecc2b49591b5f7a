"""One coin in plain Python."""

import math
from collections.abc import Sequence

from tests.oracles.em import Rows, Table, Triple, climb, vote_shares


def one_coin(
    answers: Sequence[Triple], I: int, J: int, K: int, gold: Sequence[int], iterations: int
) -> tuple[Table, list[float]]:
    votes = vote_shares(answers, I, K, gold)
    right = 10 * 0.7 + sum(votes[item][label] for item, _, label in answers)
    accuracy = right / (10 + len(answers))

    def maximise(posterior: Table) -> tuple[Rows, float]:
        rows, log_prior = [], 0.0
        for j in range(J):
            mine = [(item, label) for item, annotator, label in answers if annotator == j]
            a = (sum(posterior[item][label] for item, label in mine) + 4 * accuracy) / (len(mine) + 4)
            log_prior += 4 * accuracy * math.log(a) + 4 * (1 - accuracy) * math.log(1 - a)
            rows.append([[a if k == label else (1 - a) / max(K - 1, 1) for label in range(K)] for k in range(K)])
        return rows, log_prior

    return climb(answers, I, K, gold, maximise, iterations, freed=False)
