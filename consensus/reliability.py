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
    t = mean - mean.flip(0) + SKEWED * (third - third.flip(0)) / variance - NORMAL * deviation
    slope = (a - size * t.sigmoid()).maximum(FLAT / deviation)
    node, weight = _laguerre(a.device)
    top = size * logsigmoid(t)
    fall = logsigmoid(t - node / slope).mul_(size).sub_(top).add_(node * (b / slope + 1))
    area = torch.tensordot(weight, fall.exp_(), 1) / slope  # F / f
    log_below = top - b * t + area.log() + (size.lgamma() - pairs.lgamma().sum(0))
    step = (log_below - log(TAIL)) * area
    return (t - step / (1 - step * (slope - 1 / area) / 2)).sigmoid()


def _log_gamma(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The first cumulants of the logarithm of a Gamma(a) variable: asymptotic series after one step of recurrence."""
    own, next_ = 1 / a, 1 / (a + 1)
    mean = -next_.log() - own - next_ / 2 - next_.square() / 12
    variance = own.square() + next_ * (1 + next_ * (1 / 2 + next_ / 6))
    return mean, variance, -2 * own**3 - next_.square() * (1 + next_)


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
