"""How good posteriors are, given the truth."""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus.fit import leading

FLOOR = 2.0**-33
BINS = 15


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over the `items` with truth."""

    accuracy: float
    log_loss: float
    brier: float
    ece: float
    items: int


def score(posterior: Tensor, truth: Tensor) -> Scores:
    """Score posteriors (I, K) against truth (I,), -1 where it is unknown.

    accuracy: a true class among t that tie for the largest probability (within 1e-9) counts 1 / t.
    log loss: natural; a probability below 2^-33, half a step of the posterior's grid, counts as 2^-33.
    Brier: squared error summed over classes, 0 to 2.
    ECE: 15 bins of confidence of equal width, each |accuracy - mean confidence|, weighted by its share of items.

    Raises:
        ValueError: no item has truth.
    """
    known = truth >= 0
    q, z = posterior[known], truth[known]  # (T, K), (T,)
    T = z.numel()
    if T == 0:
        raise ValueError("truth: no item has any")
    confidence = q.amax(1)
    tied = leading(q)
    p = q.gather(1, z[:, None]).squeeze(1)
    hit = tied.gather(1, z[:, None]).squeeze(1).to(q.dtype) / tied.sum(1)
    brier = q.square().sum(1) - 2 * p + 1
    bin_ = (confidence * BINS).ceil().long().clamp(1, BINS) - 1
    gaps = torch.zeros(BINS, dtype=q.dtype, device=q.device).index_add(0, bin_, hit - confidence)
    return Scores(
        accuracy=float(hit.mean()),
        log_loss=float(-p.clamp(min=FLOOR).log().mean()),
        brier=float(brier.mean()),
        ece=float(gaps.abs().sum() / T),
        items=T,
    )
