"""Dirichlet distributions, along the last dimension of their counts."""

import math

import torch
from torch import Tensor


def expected_log(counts: Tensor) -> Tensor:
    """E log θ under θ ~ Dirichlet(counts): (..., L) -> (..., L)."""
    return torch.digamma(counts) - torch.digamma(counts.sum(-1, keepdim=True))


def log_normaliser(counts: Tensor) -> Tensor:
    """log of the multivariate beta function: (..., L) -> (...)."""
    return torch.lgamma(counts).sum(-1) - torch.lgamma(counts.sum(-1))


def divergence(posterior: Tensor, prior: Tensor) -> Tensor:
    """Kullback-Leibler divergence of Dirichlet(posterior) from Dirichlet(prior): (..., L) -> (...)."""
    change = ((posterior - prior) * expected_log(posterior)).sum(-1)
    return change + log_normaliser(prior) - log_normaliser(posterior)


def inverse_digamma(value: float) -> float:
    """The x > 0 with ψ(x) = value, by the start and the Newton steps of Minka (2000), appendix C."""
    euler = 0.5772156649015329
    x = torch.tensor(math.exp(value) + 0.5 if value >= -2.22 else -1 / (value + euler), dtype=torch.float64)
    for _ in range(6):
        x = x - (torch.digamma(x) - value) / torch.polygamma(1, x)
    return float(x)
