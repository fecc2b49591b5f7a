"""EBCC in plain Python, from a given split into subtypes."""

import math
from collections.abc import Sequence

from tests.oracles.em import Table, Triple, vote_shares
from tests.oracles.ibcc import pseudo_answers
from tests.oracles.special import divergence, expected_logs


def ebcc(
    answers: Sequence[Triple],
    I: int,
    J: int,
    K: int,
    gold: Sequence[int],
    iterations: int,
    split: Sequence[Table],  # [item][class][subtype]
) -> tuple[Table, list[float]]:
    answered = {item for item, _, _ in answers}
    votes = vote_shares(answers, I, K, gold)
    gamma = [sum(votes[i][k] for i in answered) + 1 / K for k in range(K)]
    alpha = pseudo_answers(K)
    M = len(split[0][0])
    rho = [[list(row) for row in table] for table in split]
    objectives = []
    for _ in range(iterations):
        tau = [gamma[k] + sum(sum(rho[i][k]) for i in answered) for k in range(K)]
        pi = [[0.1 / M + sum(rho[i][k][m] for i in answered) for m in range(M)] for k in range(K)]
        v = [[[list(alpha[k]) for _ in range(M)] for k in range(K)] for _ in range(J)]
        for item, j, label in answers:
            for k in range(K):
                for m in range(M):
                    v[j][k][m][label] += rho[item][k][m]
        objective = -divergence(tau, gamma) - sum(divergence(row, [0.1 / M] * M) for row in pi)
        objective -= sum(divergence(row, alpha[k]) for table in v for k in range(K) for row in table[k])
        log_tau, log_pi = expected_logs(tau), [expected_logs(row) for row in pi]
        log_v = [[[expected_logs(row) for row in rows] for rows in table] for table in v]
        for i in range(I):
            allowed = range(K) if gold[i] < 0 else [gold[i]]
            mine = [(j, label) for item, j, label in answers if item == i]
            logs = {
                (k, m): log_tau[k] + log_pi[k][m] + sum(log_v[j][k][m][label] for j, label in mine)
                for k in allowed
                for m in range(M)
            }
            top = max(logs.values())
            total = sum(math.exp(log - top) for log in logs.values())
            if mine:
                objective += top + math.log(total)
            rho[i] = [
                [math.exp(logs[k, m] - top) / total if (k, m) in logs else 0.0 for m in range(M)] for k in range(K)
            ]
        objectives.append(objective)
    return [[sum(row) for row in table] for table in rho], objectives
