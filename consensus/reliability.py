"""What is believed of each respondent."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

CELLS = 128
REACH = 8.0
NORMAL_95 = 2 * 1.959964  # standard deviations from end to end of an interval that holds 95 %
CHUNK = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Expected accuracy with a 95 % credible interval, and the expected confusion matrix."""

    accuracy: Tensor  # (J,)
    low: Tensor  # (J,)
    high: Tensor  # (J,)
    confusion: Tensor  # (J, K, K) [true class, label]; rows sum to 1


def interval(a: Tensor, b: Tensor, mass: float = 0.95) -> tuple[Tensor, Tensor]:
    """The central interval of Beta(a, b) that holds `mass`: (J,), (J,) -> (J,), (J,).

    x is written as the logistic of t. The density of t, proportional to x^a (1 - x)^b, is smooth and log-concave for
    all a, b > 0. It is integrated by the corrected trapezoid rule over 8 standard deviations on either side of its
    mean and inverted as linear within a cell. The interval's tails are right to 1e-4 where a, b >= 1/2.
    """
    parts = [_interval(*part, (1 - mass) / 2) for part in zip(a.split(CHUNK), b.split(CHUNK), strict=True)]
    low, high = zip(*parts, strict=True)
    return torch.cat(low), torch.cat(high)


def _interval(a: Tensor, b: Tensor, tail: float) -> tuple[Tensor, Tensor]:
    a, b = a[:, None], b[:, None]
    mean = torch.digamma(a) - torch.digamma(b)
    deviation = (torch.polygamma(1, a) + torch.polygamma(1, b)).sqrt()
    steps = torch.linspace(-REACH, REACH, CELLS + 1, dtype=a.dtype, device=a.device)
    t = mean + deviation * steps  # (J, CELLS + 1)
    width = deviation * (2 * REACH / CELLS)
    log_density = a * logsigmoid(t) + b * logsigmoid(-t)
    density = (log_density - log_density.amax(1, keepdim=True)).exp()
    slope = density * (a - (a + b) * t.sigmoid())
    cells = width / 2 * (density[:, :-1] + density[:, 1:]) + width.square() / 12 * (slope[:, :-1] - slope[:, 1:])
    below = pad(cells.cumsum(1), (1, 0))  # (J, CELLS + 1)

    def quantile(probability: float) -> Tensor:
        wanted = probability * below[:, -1:]
        right = torch.searchsorted(below, wanted).clamp(1, CELLS)
        left = right - 1
        rest = wanted - below.gather(1, left)
        start, end = density.gather(1, left), density.gather(1, right)
        inside = 2 * rest / (start + (start.square() + 2 * rest * (end - start) / width).clamp(min=0).sqrt())
        return (t.gather(1, left) + inside).sigmoid().squeeze(1)

    return quantile(tail), quantile(1 - tail)


def matched_beta(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """The (a, b) of the Beta distribution with this mean and variance, each (J,)."""
    strength = mean * (1 - mean) / variance - 1
    return mean * strength, (1 - mean) * strength
