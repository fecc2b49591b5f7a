"""Dawid & Skene in plain Python."""

import math
from collections.abc import Sequence

from tests.oracles.em import Rows, Table, Triple, climb, vote_shares


def dawid_skene(
    answers: Sequence[Triple], I: int, J: int, K: int, gold: Sequence[int], iterations: int
) -> tuple[Table, list[float]]:
    votes = vote_shares(answers, I, K, gold)
    pseudo = []
    for k in range(K):
        row = [7.0 if k == label else 3.0 / (K - 1) for label in range(K)]
        for item, _, label in answers:
            row[label] += votes[item][k]
        pseudo.append([4 * cell / sum(row) for cell in row])

    def maximise(posterior: Table) -> tuple[Rows, float]:
        rows, log_prior = [], 0.0
        for j in range(J):
            table = [list(row) for row in pseudo]
            for item, annotator, label in answers:
                if annotator == j:
                    for k in range(K):
                        table[k][label] += posterior[item][k]
            table = [[cell / sum(row) for cell in row] for row in table]
            log_prior += sum(pseudo[k][label] * math.log(table[k][label]) for k in range(K) for label in range(K))
            rows.append(table)
        return rows, log_prior

    return climb(answers, I, K, gold, maximise, iterations)
