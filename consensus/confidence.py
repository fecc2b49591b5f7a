"""How sure to be: from evidence to a probability that holds.

Models of independent answers are sure of whatever many answers say. Four things, none of them learned from the truth of
the project at hand, make probabilities of the log joint L_i = log π + Σ_n e_n of an item's class and its answers:

    confidence_i = (1 - ε) softmax(λ n_i^-POWER L_i) + ε / K

with n_i the effective number of answers (`correlation.worth`). Which class leads is never changed.

POWER: the evidence of an item grows more slowly than its answers, because the answers have the item in common. Between
0.7 and 0.9 the exponent makes no difference.

λ, of a plain fit: one that hardly saw two answers to an item believes itself. Chance-corrected agreement of pairs
(Fleiss 1971) says how often one answer alone is known to be right, t^2 = κ, shrunk by `PSEUDO` pairs to what is to be
seen without pairs: who guesses has habits, so the labels of one respondent agree among themselves by h = (1 - t)^2 at
most, and t is expected at `UNSEEN` of its bound 1 - sqrt(h). λ <= 1 brings the mean probability of one answer alone
down to that, as far as an answer's own share in its item goes.

λ, of a fit with discounted evidence (`touchstone`): it orders items well and is too modest; λ brings its mean
confidence to that of the plain fit, where half of it is of the mixture of both.

λ, where gold has answers: `gold_level`.

ε: a whole crowd can be wrong together, and no agreement tells.
"""

from collections.abc import Callable
from math import exp

import torch
from torch import Tensor

from consensus.knowing import KNOWING, PSEUDO
from consensus.layout import Layout
from consensus.segment import block_sum
from consensus.votes import normalised

POWER = 0.8
TOGETHER_WRONG = 0.02
UNSEEN = 0.7
"""Of what habits leave open, how much is expected to be knowledge: chosen on public sets thinned to one answer."""
SPREAD = 0.5
"""The logarithm of the best level differs by so much between public data sets with truth (`docs/model.md`)."""
LEAST_INFORMED = 0.05
BISECTIONS = 30
STEP = 2.0**-44
"""Published probabilities are multiples of it: finer than anybody reads, coarser than the last bits of a sum."""
RANGE = (-5.0, 5.0)
SECTIONS = 40
STEPS = 2.0**16  # the optimum is flat: finer than that its logarithm is noise of rounding
GOLDEN = (5**0.5 - 1) / 2


def temper(joint: Tensor, worth: Tensor, level: Tensor) -> Tensor:
    """(I, K) λ n_i^-POWER L_i."""
    return (worth.log().mul_(-POWER).exp_().mul_(level)) * joint


def doubt(tempered: Tensor) -> Tensor:
    """(I, K) the published probabilities."""
    return normalised(tempered).mul_(1 - TOGETHER_WRONG).add_(TOGETHER_WRONG / tempered.shape[1])


def rounded(published: Tensor) -> Tensor:
    """(I, K) on the grid of `STEP`, so that what depends on the same answers is written with the same bits."""
    return published.mul(1 / STEP).round_().mul_(STEP)


def publish(joint: Tensor, worth: Tensor, level: Tensor) -> Tensor:
    """(I, K) the published probabilities on that grid."""
    return rounded(doubt(temper(joint, worth, level)))


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
    alone = UNSEEN * (1 - habit(layout, chance) ** 0.5) if shared else KNOWING
    knowing = max((pairs * kappa + PSEUDO * alone**2) / (pairs + PSEUDO), 0.0) ** 0.5
    return knowing + (1 - knowing) * chance


def habit(layout: Layout, chance: float) -> float:
    """How much more often than by chance two answers of one respondent have the same label: from 0 to 1."""
    n = layout.labels.sum(1)
    same = float(block_sum((layout.labels * (layout.labels - 1)).sum(1, keepdim=True)))
    all_ = float(block_sum((n * (n - 1))[:, None]))
    excess = (same - chance * all_) / ((1 - chance) * (all_ + PSEUDO)) if chance < 1 else 0.0
    return min(max(excess, 0.0), 1.0)


def plain_level(layout: Layout, classes: Tensor, log: Tensor, shared: bool) -> Tensor:
    """() λ of a plain fit. `log`: what one answer says, as in `correlation.hear`, by cell or annotator."""
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


def gold_level(tempered: Tensor, gold: Tensor, level: Tensor) -> Tensor:
    """() `level` times the λ that maximises Σ log p_λ(gold) - (log λ)^2 / (2 SPREAD^2), found by golden sections.

    tempered (G, K), of gold items inferred as if they were not gold; gold (G,) their classes.
    """

    def misfit(scale: float) -> float:
        known = doubt(exp(scale) * tempered).log().gather(1, gold[:, None])
        return scale**2 / (2 * SPREAD**2) - float(block_sum(known))

    low, high = -6 * SPREAD, 6 * SPREAD
    for _ in range(SECTIONS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        low, high = (low, right) if misfit(left) <= misfit(right) else (left, high)
    return level * exp(round((low + high) / 2 * STEPS) / STEPS)


def trust(votes: Tensor, posterior: Tensor, published: Tensor) -> dict[str, Tensor]:
    """What whole (I, K) tables say of how far expected counts of right answers can be relied on.

    `informed`: 1 less the share of the variance of "this answer is right" that inference leaves open. `gap`: between
    the mean probability that an answer is right by the raw posterior and by the published one.
    """
    columns = [votes * posterior, votes * published, votes * published * (1 - published)]
    totals = block_sum(torch.stack([column.sum(1) for column in columns], 1))
    raw, right, open_ = totals / votes.sum().clamp(min=1)
    spread = right * (1 - right)
    informed = torch.where(spread > 0, 1 - open_ / spread.clamp(min=1e-12), 1.0).clamp(min=LEAST_INFORMED)
    return {"informed": informed, "gap": (raw - right).abs()}


def mean_confidence(posterior: Tensor) -> float:
    return float(block_sum(posterior.amax(1, keepdim=True))) / max(posterior.shape[0], 1)


def solve(rising: Callable[[float], float], target: float) -> float:
    """The scale at which `rising` reaches `target`, by bisection on its logarithm."""
    low, high = RANGE
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(exp(middle)) < target else (low, middle)
    return exp((low + high) / 2)
