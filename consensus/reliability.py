"""What is believed of each respondent."""

from dataclasses import dataclass
from functools import cache
from math import log

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

NODES = 8
FLAT = 0.1  # the least slope by standard deviations: of a start beyond the mode
TAIL = 0.025
NORMAL = 1.959964  # standard deviations from the mean to where the tail begins
SKEWED = (NORMAL**2 - 1) / 6
NORMAL_95 = 2 * NORMAL  # standard deviations from end to end of an interval that holds 95 %
CHUNK = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Skill:
    """Expected accuracy with a 95 % credible interval."""

    accuracy: Tensor  # (J,)
    low: Tensor  # (J,)
    high: Tensor  # (J,)


@dataclass(frozen=True, slots=True, eq=False)
class Reliability(Skill):
    """The same, and the expected confusion matrix."""

    confusion: Tensor  # (J, K, K) [true class, label]; rows sum to 1


def interval(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The central interval of Beta(a, b) that holds 95 %: (J,), (J,) -> (J,), (J,).

    Its tails are right to 1e-4 where a, b >= 1/2, and within 1e-2 elsewhere.
    """
    pairs = torch.stack([a, b])
    low, unlike = torch.cat([_lower(some) for some in pairs.split(CHUNK, 1)], 1)
    return low, 1 - unlike  # the upper end of Beta(a, b) is what the lower end of Beta(b, a) leaves


def _lower(pairs: Tensor) -> Tensor:
    """(2, J) a, b -> (2, J) the quantiles of Beta(a, b) and of Beta(b, a) below which lies `TAIL`.

    x is written as the logistic of t, a difference of logarithms of Gamma variables: its density f, proportional to
    x^a (1 - x)^b, is smooth and log-concave. From the Cornish-Fisher expansion with mean, variance and skewness, one
    step of Halley's method on log F(t) = log `TAIL`. Below the quantile f falls about as exp(s t), s the slope of
    log f there, so that F(t) / f(t) is a Gauss-Laguerre sum in s t.
    """
    a, b = pairs, pairs.flip(0)
    size = pairs.sum(0)
    mean, variance, third = _log_gamma(pairs)
    variance = variance.sum(0)
    deviation = variance.sqrt()
    t = _skew(mean).addcdiv_(_skew(third), variance, value=SKEWED).sub_(deviation, alpha=NORMAL)
    slope = torch.addcmul(a, size, t.sigmoid(), value=-1).maximum(FLAT / deviation)
    wide = slope.reciprocal()
    node, weight = _laguerre(a.device)
    top = size * logsigmoid(t)
    fall = logsigmoid(torch.addcmul(t, node, wide, value=-1)).mul_(size).sub_(top)  # (n, 2, J)
    fall.addcmul_(node, torch.addcmul(_one(a.device), b, wide)).exp_()
    area = (weight @ fall.flatten(1)).view_as(a).mul_(wide)  # F / f
    beta = torch.lgamma(torch.cat([pairs, size[None]]))
    log_below = top.addcmul_(b, t, value=-1).add_(area.log()).add_(beta[2] - beta[0] - beta[1])
    step = log_below.sub_(log(TAIL)).mul_(area)
    bend = torch.addcmul(_one(a.device), step, slope - area.reciprocal(), value=-0.5)
    return t.addcdiv_(step, bend, value=-1).sigmoid_()


def _skew(pairs: Tensor) -> Tensor:
    """Each less the other."""
    difference = pairs[0] - pairs[1]
    return torch.stack([difference, -difference])


def _log_gamma(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The first cumulants of the logarithm of a Gamma(a) variable: asymptotic series after one step of recurrence."""
    own, next_ = 1 / a, 1 / (a + 1)
    squared, after = own * own, next_ * next_
    mean = torch.log1p(a).sub_(own).sub_(next_, alpha=1 / 2).sub_(after, alpha=1 / 12)
    variance = squared + next_ + after.mul(1 / 2).addcmul_(after, next_, value=1 / 6)
    third = torch.addcmul(after, after, next_).addcmul_(squared, own, value=2).neg_()
    return mean, variance, third


@cache
def _one(device: torch.device) -> Tensor:
    return torch.ones((), dtype=torch.float64, device=device)


@cache
def _laguerre(device: torch.device) -> tuple[Tensor, Tensor]:
    """Nodes (n, 1, 1) and weights (n,) for integrals of exp(-u) g(u) over u > 0 (Golub & Welsch 1969)."""
    steps = torch.arange(NODES, dtype=torch.float64)
    jacobi = torch.diag(2 * steps + 1) + torch.diag(steps[1:], 1) + torch.diag(steps[1:], -1)
    node, vector = torch.linalg.eigh(jacobi)
    return node[:, None, None].to(device), vector[0].square().to(device)


def matched_beta(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """The (a, b) of the Beta distribution with this mean and variance, each (J,)."""
    strength = mean * (1 - mean) / variance - 1
    return mean * strength, (1 - mean) * strength
