"""Votes: where every model starts."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from consensus.layout import Items


def shares(layout: Items) -> Tensor:
    """(I, K) float64, the share of each class among an item's answers: uniform without answers, one-hot for gold."""
    return shares_of(layout.votes, layout.gold)


def shares_of(votes: Tensor, gold: Tensor | None) -> Tensor:
    """As :func:`shares`, from the items' votes (I, K)."""
    total = votes.sum(1, keepdim=True)
    return pin(torch.where(total > 0, votes / total.clamp(min=1), 1 / votes.shape[1]), gold)


def pin(posterior: Tensor, gold: Tensor | None) -> Tensor:
    """(I, K) with the rows of gold items one-hot."""
    if gold is None:
        return posterior
    known = one_hot(gold.clamp(min=0), posterior.shape[1]).to(posterior.dtype)
    return torch.where(gold[:, None] >= 0, known, posterior)


def clamp(joint: Tensor, gold: Tensor | None) -> Tensor:
    """log p(answers, class) (I, K) with -inf for every class that a gold item is not."""
    if gold is None:
        return joint
    classes = torch.arange(joint.shape[1], device=joint.device)
    return joint.masked_fill((gold[:, None] >= 0) & (gold[:, None] != classes), float("-inf"))


def normalised(joint: Tensor) -> Tensor:
    """Softmax over the classes of (I, K), kept by columns: of many short rows it is worked out slowly row by row."""
    return joint.t().softmax(0).t()
