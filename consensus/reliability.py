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
class Reliability:
    """Expected accuracy with a 95 % credible interval, and the expected confusion matrix."""

    accuracy: Tensor  # (J,)
    low: Tensor  # (J,)
    high: Tensor  # (J,)
    confusion: Tensor  # (J, K, K) [true class, label]; rows sum to 1


def interval(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The central interval of Beta(a, b) that holds 95 %: (J,), (J,) -> (J,), (J,).

    Its tails are right to 1e-4 where a, b >= 1/2, and within 1e-2 elsewhere.
    """
    parts = [
        _lower(torch.cat([some, other]), torch.cat([other, some])).view(2, -1)
        for some, other in zip(a.split(CHUNK), b.split(CHUNK), strict=True)
    ]
    low, unlike = torch.cat(parts, 1)  # the upper end of Beta(a, b) is what the lower end of Beta(b, a) leaves
    return low, 1 - unlike


def _lower(a: Tensor, b: Tensor) -> Tensor:
    """(J,) the quantile of Beta(a, b) below which lies `TAIL`.

    x is written as the logistic of t, a difference of logarithms of Gamma variables: its density f, proportional to
    x^a (1 - x)^b, is smooth and log-concave. From the Cornish-Fisher expansion with mean, variance and skewness, one
    step of Halley's method on log F(t) = log `TAIL`. Below the quantile f falls about as exp(s t), s the slope of
    log f there, so that F(t) / f(t) is a Gauss-Laguerre sum in s t.
    """
    (mean, variance, third), (other_mean, other_variance, other_third) = _log_gamma(a), _log_gamma(b)
    variance = variance + other_variance
    deviation = variance.sqrt()
    t = mean - other_mean + SKEWED * (third - other_third) / variance - NORMAL * deviation
    size = a + b
    slope = (a - size * t.sigmoid()).maximum(FLAT / deviation)
    node, weight = _laguerre(a.device)
    top = logsigmoid(t)
    fall = size * (logsigmoid(t - node / slope) - top) + b * (node / slope) + node
    area = weight @ fall.exp() / slope  # F / f
    log_below = size * top - b * t + area.log() + size.lgamma() - a.lgamma() - b.lgamma()
    step = (log_below - log(TAIL)) * area
    return (t - step / (1 - step * (slope - 1 / area) / 2)).sigmoid()


def _log_gamma(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The first cumulants of the logarithm of a Gamma(a) variable: asymptotic series after one step of recurrence."""
    b = a + 1
    mean = b.log() - 1 / a - 1 / (2 * b) - 1 / (12 * b.square())
    variance = 1 / a.square() + 1 / b + 1 / (2 * b.square()) + 1 / (6 * b**3)
    return mean, variance, -2 / a**3 - 1 / b.square() - 1 / b**3


@cache
def _laguerre(device: torch.device) -> tuple[Tensor, Tensor]:
    """Nodes (n, 1) and weights (n,) for integrals of exp(-u) g(u) over u > 0 (Golub & Welsch 1969)."""
    steps = torch.arange(NODES, dtype=torch.float64)
    jacobi = torch.diag(2 * steps + 1) + torch.diag(steps[1:], 1) + torch.diag(steps[1:], -1)
    node, vector = torch.linalg.eigh(jacobi)
    return node[:, None].to(device), vector[0].square().to(device)


def matched_beta(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """The (a, b) of the Beta distribution with this mean and variance, each (J,)."""
    strength = mean * (1 - mean) / variance - 1
    return mean * strength, (1 - mean) * strength
