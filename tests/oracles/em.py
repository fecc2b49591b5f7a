"""EM for a crowd of annotators in plain Python: one loop per equation, nothing shared with the engine."""

import math
from collections.abc import Callable, Sequence

Triple = tuple[int, int, int]  # item, annotator, label
Table = list[list[float]]
Rows = list[Table]  # [annotator][true class][label]


def vote_shares(answers: Sequence[Triple], I: int, K: int, gold: Sequence[int]) -> Table:
    table = []
    for i in range(I):
        labels = [label for item, _, label in answers if item == i]
        if gold[i] >= 0:
            table.append([1.0 if k == gold[i] else 0.0 for k in range(K)])
        elif labels:
            table.append([labels.count(k) / len(labels) for k in range(K)])
        else:
            table.append([1 / K] * K)
    return table


def anchored(answers: Sequence[Triple], shares: Table, K: int, gold: Sequence[int]) -> list[float]:
    """Half a pseudo-item for each answered item, spread as the votes would be if nobody erred."""
    votes: dict[int, list[int]] = {}
    for item, _, label in answers:
        votes.setdefault(item, []).append(label)
    known = [sum(gold[i] == k for i in votes) for k in range(K)]
    voted = [sum(shares[i][k] for i in votes if gold[i] < 0) for k in range(K)]
    same = sum(labels.count(label) - 1 for labels in votes.values() for label in labels)
    every = sum(len(labels) * (len(labels) - 1) for labels in votes.values())
    pairs = sum(len(labels) - 1 for labels in votes.values())
    agreement = min(same / max(every, 1) + 1 / math.sqrt(max(pairs, 1)), 1)
    right = math.sqrt(max(K * agreement - 1, 0) / (K - 1)) if K > 1 else 1
    freed = [max(voted[k] - (1 - right) / K * sum(voted), 0) for k in range(K)]
    scale = sum(voted) / sum(freed) if sum(voted) else 0
    return [(known[k] + scale * freed[k]) / 2 + 1 / K for k in range(K)]


def climb(
    answers: Sequence[Triple],
    I: int,
    K: int,
    gold: Sequence[int],
    maximise: Callable[[Table], tuple[Rows, float]],
    iterations: int,
    *,
    freed: bool = True,
) -> tuple[Table, list[float]]:
    """Posteriors and objectives after so many iterations; `maximise` gives rows and their log prior from posteriors.

    Class shares are anchored at those of the votes, or of votes freed of errors.
    """
    answered = {item for item, _, _ in answers}
    posterior = vote_shares(answers, I, K, gold)
    if freed:
        anchor = anchored(answers, posterior, K, gold)
    else:
        anchor = [sum(posterior[i][k] for i in answered) + 1 / K for k in range(K)]
    objectives = []
    for _ in range(iterations):
        rows, objective = maximise(posterior)
        weights = [anchor[k] + sum(posterior[i][k] for i in answered) for k in range(K)]
        classes = [weight / sum(weights) for weight in weights]
        objective += sum(anchor[k] * math.log(classes[k]) for k in range(K))
        joint = [[math.log(classes[k]) for k in range(K)] for _ in range(I)]
        for item, annotator, label in answers:
            for k in range(K):
                joint[item][k] += math.log(rows[annotator][k][label])
        for i in range(I):
            allowed = range(K) if gold[i] < 0 else [gold[i]]
            top = max(joint[i][k] for k in allowed)
            total = math.fsum(math.exp(joint[i][k] - top) for k in allowed)
            if i in answered:
                objective += top + math.log(total)
            posterior[i] = [math.exp(joint[i][k] - top) / total if k in allowed else 0.0 for k in range(K)]
        objectives.append(objective)
    return posterior, objectives
