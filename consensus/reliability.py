"""What is believed of each respondent."""

from dataclasses import dataclass

import torch
from torch import Tensor

NODES = 512
REACH = 12.0


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Expected accuracy with a 95 % credible interval, and the expected confusion matrix."""

    accuracy: Tensor  # (J,)
    low: Tensor  # (J,)
    high: Tensor  # (J,)
    confusion: Tensor  # (J, K, K) [true class, label]; rows sum to 1


def interval(a: Tensor, b: Tensor, mass: float = 0.95) -> tuple[Tensor, Tensor]:
    """The central interval of Beta(a, b) that holds `mass`: (J,), (J,) -> (J,), (J,).

    x is written as the logistic of t. The density of t, proportional to exp(a log x + b log(1 - x)), is smooth and log-
    concave for all a, b > 0; it is summed on a grid of 512 steps over 12 standard deviations on either side of its
    mean, and the sum is inverted linearly within a step. Quantiles are right to about 1e-4 standard deviations.
    """
    mean = torch.digamma(a) - torch.digamma(b)
    deviation = (torch.polygamma(1, a) + torch.polygamma(1, b)).sqrt()
    steps = torch.linspace(-REACH, REACH, NODES + 1, dtype=a.dtype, device=a.device)
    t = mean[:, None] + deviation[:, None] * steps  # (J, NODES + 1)
    log_density = a[:, None] * torch.nn.functional.logsigmoid(t) + b[:, None] * torch.nn.functional.logsigmoid(-t)
    density = (log_density - log_density.amax(1, keepdim=True)).exp()
    cumulative = torch.cumulative_trapezoid(density, dim=1)  # (J, NODES)
    cumulative = torch.cat([torch.zeros_like(mean)[:, None], cumulative / cumulative[:, -1:]], 1)
    tail = (1 - mass) / 2
    return _quantile(t, cumulative, tail), _quantile(t, cumulative, 1 - tail)


def _quantile(t: Tensor, cumulative: Tensor, probability: float) -> Tensor:
    wanted = cumulative.new_full((cumulative.shape[0], 1), probability)
    right = torch.searchsorted(cumulative, wanted).clamp(1, NODES)
    low, high = cumulative.gather(1, right - 1), cumulative.gather(1, right)
    start, end = t.gather(1, right - 1), t.gather(1, right)
    return (start + (end - start) * (wanted - low) / (high - low)).sigmoid().squeeze(1)


def matched_beta(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """The (a, b) of the Beta distribution with this mean and variance, each (J,)."""
    strength = mean * (1 - mean) / variance - 1
    return mean * strength, (1 - mean) * strength
