"""Skips: "cannot tell" is an answer with a likelihood of its own.

A challenge can be answered or not. Respondents skip the first kind with probability a, the second with probability
b > a, independently. After n answers and s skips

    P(unanswerable) = ω b^s (1 - b)^n / (ω b^s (1 - b)^n + (1 - ω) a^s (1 - a)^n)

The project's share ω and rates a, b are learned from all its challenges by EM on this mixture of two binomials, with
Beta priors: a is worth `ASKED` questions at 5 % and stays below 50 %; b is worth as many at 80 % and stays above
50 %; ω is worth `ASKED` challenges at 2 %. What labels an unanswerable challenge gets, and that some respondents skip
more than others, is not in the model: skips of somebody who skips everything count as much as anybody's.
"""

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

ASKED = 20.0
HALF = 0.5
LIMIT = 1e-6
ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Skipping:
    """The share of unanswerable challenges; how often respondents skip one that can, one that cannot be answered."""

    share: float = 0.02
    answerable: float = 0.05
    unanswerable: float = 0.8


USUAL = Skipping()


def learn(answers: Tensor, skips: Tensor) -> Skipping:
    """From the (I,) counts of a project's challenges. Without any skips nothing is learned of a project's skips."""
    start = now = USUAL
    if not bool(skips.any()):
        return start
    n, s = answers.to(torch.float64), skips.to(torch.float64)
    for _ in range(ROUNDS):
        lost = unanswerable(answers, skips, now)
        asked = torch.stack([s, n + s])
        (kept_skips, kept), (lost_skips, gone) = (asked @ (1 - lost)).tolist(), (asked @ lost).tolist()
        now = Skipping(
            share=(float(lost.sum()) + ASKED * start.share) / (len(n) + ASKED),
            answerable=min((kept_skips + ASKED * start.answerable) / (kept + ASKED), HALF - LIMIT),
            unanswerable=max((lost_skips + ASKED * start.unanswerable) / (gone + ASKED), HALF),
        )
    return now


def unanswerable(answers: Tensor, skips: Tensor, rates: Skipping) -> Tensor:
    """(I,) answers, (I,) skips -> (I,) float64, the probability that a challenge cannot be answered."""
    n, s = answers.to(torch.float64), skips.to(torch.float64)
    share, a, b = rates.share, rates.answerable, rates.unanswerable
    odds = (n * log((1 - b) / (1 - a))).add_(s, alpha=log(b / a)).add_(log(share / (1 - share)))
    return odds.sigmoid_()
