"""Class shares, as gold tells them: the shares of the votes, freed of the errors that the crowd makes on gold.

With C the crowd's confusion on gold [true class, label], smoothed by K answers to each class, half of them spread
evenly and half as the votes are, the shares π are those under which the votes' shares v are likeliest,
v_l = Σ_k π_k C_kl, by EM (Saerens, Latinne & Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori
probabilities").
Which classes were chosen to be gold makes no difference.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from consensus.layout import Layout
from consensus.segment import block_sum

ROUNDS = 100
HALF = 100.0
"""Gold challenges that are believed as much as all that is known without gold."""


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """What gold says of the classes, and how much that counts beside all else."""

    shares: Tensor  # (K,)
    weight: float  # from 0 to 1


def composition(layout: Layout) -> Composition | None:
    """None where no gold has answers."""
    if layout.gold is None:
        return None
    votes, K = layout.votes, layout.K
    known = (layout.gold >= 0) & (votes.sum(1) > 0)
    number = float(known.sum())
    if number == 0:
        return None
    share = block_sum(votes) / votes.sum()
    confusion = one_hot(layout.gold[known], K).to(votes.dtype).T @ votes[known] + K * (share + 1 / K) / 2
    confusion = confusion / confusion.sum(1, keepdim=True)
    found = torch.full_like(share, 1 / K)
    for _ in range(ROUNDS):
        joint = found[:, None] * confusion
        found = (joint / joint.sum(0)) @ share
    return Composition(found, number / (number + HALF))
