"""Wawa in plain Python."""

from collections.abc import Sequence

from tests.oracles.em import Table, Triple, vote_shares


def wawa(answers: Sequence[Triple], I: int, J: int, K: int, gold: Sequence[int]) -> Table:
    votes = vote_shares(answers, I, K, gold)
    return weighted(answers, I, K, gold, agreement(answers, J, votes))


def agreement(answers: Sequence[Triple], J: int, posterior: Table) -> list[float]:
    """How often each sides with the leading classes, ties counted by their share."""
    skills = []
    for j in range(J):
        scores = []
        for item, annotator, label in answers:
            if annotator == j:
                leading = [k for k, share in enumerate(posterior[item]) if share >= max(posterior[item]) - 1e-9]
                scores.append(1 / len(leading) if label in leading else 0.0)
        skills.append(sum(scores) / len(scores) if scores else 0.0)
    return skills


def weighted(answers: Sequence[Triple], I: int, K: int, gold: Sequence[int], skills: Sequence[float]) -> Table:
    posterior = vote_shares(answers, I, K, gold)
    for i in range(I):
        weights = [sum(skills[j] for item, j, label in answers if (item, label) == (i, k)) for k in range(K)]
        if gold[i] < 0 and sum(weights) > 0:
            posterior[i] = [weight / sum(weights) for weight in weights]
    return posterior
