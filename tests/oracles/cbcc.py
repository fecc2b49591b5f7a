"""CBCC in plain Python."""

import math
from collections.abc import Sequence

from tests.oracles.em import Rows, Table, Triple, climb, vote_shares
from tests.oracles.special import digamma, expected_logs, log_beta

C, SCATTER = 4, 10.0


def cbcc(
    answers: Sequence[Triple], I: int, J: int, K: int, gold: Sequence[int], iterations: int
) -> tuple[Table, list[float]]:
    votes = vote_shares(answers, I, K, gold)
    beta = []
    for k in range(K):
        row = [7.0 if k == label else 3.0 / (K - 1) for label in range(K)]
        for item, _, label in answers:
            row[label] += votes[item][k]
        beta.append([10 * cell / sum(row) for cell in row])
    phi = []
    for c in range(C):
        right = (2 * c + 1) / 8 + (1 - (2 * c + 1) / 8) / K
        phi.append([[right if k == label else (1 - right) / (K - 1) for label in range(K)] for k in range(K)])
    h = [1 / C] * C

    def maximise(posterior: Table) -> tuple[Rows, float]:
        counts = [[[0.0] * K for _ in range(K)] for _ in range(J)]
        for item, annotator, label in answers:
            for k in range(K):
                counts[annotator][k][label] += posterior[item][k]
        members = [belong(table, phi, h)[0] for table in counts]
        sizes = [1 + sum(r[c] for r in members) for c in range(C)]
        h[:] = [size / sum(sizes) for size in sizes]
        for c in range(C):
            for k in range(K):
                pairs = [(r[c], table[k]) for r, table in zip(members, counts, strict=True)]
                phi[c][k] = moved(phi[c][k], beta[k], pairs)
        log_prior = sum(map(math.log, h))
        log_prior += sum(
            b * math.log(p) for rows in phi for k in range(K) for b, p in zip(beta[k], rows[k], strict=True)
        )
        rows = []
        for table in counts:
            r, total = belong(table, phi, h)
            logs = [[0.0] * K for _ in range(K)]
            for c in range(C):
                for k in range(K):
                    expected = expected_logs([n + SCATTER * p for n, p in zip(table[k], phi[c][k], strict=True)])
                    logs[k] = [log + r[c] * e for log, e in zip(logs[k], expected, strict=True)]
            log_prior += total - sum(table[k][label] * logs[k][label] for k in range(K) for label in range(K))
            rows.append([[math.exp(log) for log in row] for row in logs])
        return rows, log_prior

    return climb(answers, I, K, gold, maximise, iterations)


def belong(table: Table, phi: Rows, h: Sequence[float]) -> tuple[list[float], float]:
    """Responsibilities of the communities for an annotator and the log of the sum they are normalised by."""
    logs = [math.log(h[c]) + sum(ratio(row, p) for row, p in zip(table, phi[c], strict=True)) for c in range(C)]
    total = max(logs) + math.log(sum(math.exp(log - max(logs)) for log in logs))
    return [math.exp(log - total) for log in logs], total


def ratio(row: Sequence[float], p: Sequence[float]) -> float:
    return log_beta([n + SCATTER * x for n, x in zip(row, p, strict=True)]) - log_beta([SCATTER * x for x in p])


def moved(p: list[float], beta: Sequence[float], pairs: Sequence[tuple[float, Sequence[float]]]) -> list[float]:
    """A row of a community after a fixed-point step, the longest of three that does not lower the bound."""
    target = list(beta)
    for label, x in enumerate(p):
        base = digamma(SCATTER * x)
        target[label] += SCATTER * x * sum(r * (digamma(row[label] + SCATTER * x) - base) for r, row in pairs)
    target = [x / sum(target) for x in target]

    def bound(q: Sequence[float]) -> float:
        return sum(r * ratio(row, q) for r, row in pairs) + sum(b * math.log(x) for b, x in zip(beta, q, strict=True))

    height = bound(p)
    for part in (1.5, 1.0, 0.25):
        other = [x + part * (y - x) for x, y in zip(p, target, strict=True)]
        if min(other) > 0 and bound(other) >= height - 1e-13 * (1 + abs(height)):
            return other
    return p
