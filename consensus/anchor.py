"""Where class shares are anchored: at the shares of the votes, freed of the errors that disagreement gives away.

Let an answer be right with probability t and else be a guess, any class as likely as another. Class k then gets a share
v_k = t π_k + (1 - t) / K of the votes, and two answers to an item are the same with probability
g = t² + (1 - t²) / K. Pairs of answers say what g is; t and π follow.

The fewer the pairs, the less is corrected: g is taken two standard errors above what they say, at most 1 / √pairs.

The anchor is worth half as many pseudo-items as there are answered items. With one or two answers to an item nothing
else stops EM from moving all items into one class. In form COIN, where a crowd's bias to a class has only the class
shares to go to, it is worth twice as much, and spread as the votes are.
"""

import torch
from torch import Tensor

from consensus.digits import GRID
from consensus.form import Form

STRENGTH = 0.5
COUNTS = 3


def census(votes: Tensor, shares: Tensor, gold: Tensor | None) -> Tensor:
    """What :func:`anchor` needs to know of some items, to be added up: (2 * K + COUNTS,) float64.

    `votes` (I, K) are counts; `shares` (I, K) as :func:`consensus.votes.shares` has them, on the grid of posteriors.
    """
    n = votes.sum(1)
    shares = shares * (n > 0)[:, None]
    known = torch.zeros_like(shares[:0]) if gold is None else shares[gold >= 0]
    counts = torch.stack([(votes * (votes - 1)).sum(), (n * (n - 1)).sum(), (n - 1).clamp(min=0).sum()])
    return torch.cat([shares.sum(0) - known.sum(0), known.sum(0), counts])


def anchor(census: Tensor, form: Form) -> Tensor:
    """(K,) pseudo-items, from the census of all items."""
    K = (census.numel() - COUNTS) // 2
    voted, known, (same, all_, pairs) = census.split([K, K, COUNTS])
    if form == Form.COIN:
        return voted + known + 1 / K
    agreement = (same / all_.clamp(min=1) + pairs.clamp(min=1).rsqrt()).clamp(max=1)
    knowing = ((K * agreement - 1).clamp(min=0) / max(K - 1, 1)).sqrt() if K > 1 else agreement
    right = (voted - (1 - knowing) / K * voted.sum()).clamp(min=0)
    freed = right * (voted.sum() / right.sum().clamp(min=GRID))
    return STRENGTH * (freed + known) + 1 / K
