"""How sure to be: from evidence to a probability that holds.

Models of independent answers are sure of whatever many answers say. Four things, none of them learned from the truth of
the project at hand, make probabilities of the log joint L_i = log π + Σ_n e_n of an item's class and its answers:

    confidence_i = (1 - ε) softmax(λ n_i^-POWER L_i) + ε / K

with n_i the effective number of answers (`correlation.worth`). Which class leads is never changed.

POWER: the evidence of an item grows more slowly than its answers, because the answers have the item in common. Between
0.7 and 0.9 the exponent makes no difference.

λ, of a plain fit: one that hardly saw two answers to an item believes itself. Chance-corrected agreement of pairs
(Fleiss 1971) says how often one answer alone is known to be right, t^2 = κ, shrunk to `KNOWING` by `PSEUDO` pairs;
λ <= 1 brings the mean probability of one answer alone down to that, as far as an answer's own share in its item goes.

λ, of a fit with discounted evidence (`touchstone`): it orders items well and is too modest; λ brings its mean
confidence to that of the mixture of both fits, discounted and plain.

ε: a whole crowd can be wrong together, and no agreement tells.
"""

from collections.abc import Callable
from math import exp

import torch
from torch import Tensor

from consensus.knowing import KNOWING, PSEUDO
from consensus.layout import Layout
from consensus.segment import block_sum

POWER = 0.8
TOGETHER_WRONG = 0.02
BISECTIONS = 30
STEP = 2.0**-44
"""Published probabilities are multiples of it: finer than anybody reads, coarser than the last bits of a sum."""
RANGE = (-5.0, 5.0)


def temper(joint: Tensor, worth: Tensor, level: Tensor) -> Tensor:
    """(I, K) λ n_i^-POWER L_i."""
    return level * worth**-POWER * joint


def doubt(tempered: Tensor) -> Tensor:
    """(I, K) the published probabilities."""
    return (1 - TOGETHER_WRONG) * tempered.softmax(1) + TOGETHER_WRONG / tempered.shape[1]


def rounded(published: Tensor) -> Tensor:
    """(I, K) on the grid of `STEP`, so that what depends on the same answers is written with the same bits."""
    return (published / STEP).round_().mul_(STEP)


def implied(layout: Layout, shared: bool) -> float:
    """How often one answer is right, as far as agreement between pairs tells. `shared`: options mean the same."""
    K, n = layout.K, layout.votes.sum(1)
    count = float(n.sum())
    popular = (layout.votes.sum(0) + 1) / (count + K)
    chance = float(popular.square().sum()) if shared else 1 / K
    pairs = float((n - 1).clamp(min=0).sum())
    same, all_ = (layout.votes * (layout.votes - 1)).sum(), (n * (n - 1)).sum()
    agreement = float(same / all_) if pairs else chance
    kappa = (agreement - chance) / (1 - chance) if K > 1 else 1.0
    knowing = max((pairs * kappa + PSEUDO * KNOWING**2) / (pairs + PSEUDO), 0.0) ** 0.5
    return knowing + (1 - knowing) * chance


def plain_level(layout: Layout, classes: Tensor, log: Tensor, shared: bool) -> Tensor:
    """() λ of a plain fit. `log`: what one answer says, a table as in `correlation.Tables`."""
    K = layout.K
    answered, answers = float((layout.votes.sum(1) > 0).sum()), float(layout.votes.sum())
    if answered == 0 or K == 1:
        return log.new_ones(())
    if shared:
        joint, weight = classes.log() + log, layout.labels.reshape(-1, 1)  # (J * K, K), (J * K, 1)
        own = torch.eye(K, dtype=log.dtype, device=log.device).repeat(layout.J, 1)
    else:
        joint, weight = torch.cat([log[:, :1], log[:, 1:].expand(-1, K - 1)], 1), layout.labels.sum(1, keepdim=True)
        own = torch.zeros_like(joint)
        own[:, :1] = 1

    def alone(scale: float) -> float:
        right = ((scale * joint).softmax(1) * own).sum(1, keepdim=True)
        return float(block_sum(right * weight)) / answers

    scale = min(solve(alone, implied(layout, shared)), 1.0)
    return log.new_tensor(scale ** (answered / answers))


def matched_level(tempered: Tensor, target: float) -> Tensor:
    """() λ such that softmax(λ tempered) has the mean confidence `target`."""

    def confidence(scale: float) -> float:
        return mean_confidence((scale * tempered).softmax(1))

    return tempered.new_tensor(solve(confidence, target))


def mean_confidence(posterior: Tensor) -> float:
    return float(block_sum(posterior.amax(1, keepdim=True))) / max(posterior.shape[0], 1)


def solve(rising: Callable[[float], float], target: float) -> float:
    """The scale at which `rising` reaches `target`, by bisection on its logarithm."""
    low, high = RANGE
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(exp(middle)) < target else (low, middle)
    return exp((low + high) / 2)
