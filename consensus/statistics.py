"""Expected counts: what the engine remembers of a respondent between one batch and the next.

S_j = sum over j's answers of the posterior of the item answered. Posteriors are put on a grid of 2^-32 before they are counted.
Multiples of 2^-32 below 2^21 are exact in float64, and so are their sums: for a respondent with up to 2^21 answers, adding and taking
out contributions in any order gives the same bits as counting anew.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from consensus.layout import Layout

FULL_UP_TO = 16
GRID = 2.0**-32


class Form(StrEnum):
    """How a respondent's statistics are laid out; fixed for the life of a project."""

    FULL = "full"  # K * K expected counts [true class, label]
    COIN = "coin"  # 1 + K: the expected number right, then the number of answers with each label


def form_for(K: int) -> Form:
    """FULL while K * K numbers for each respondent are cheap: up to K = 16."""
    return Form.FULL if K <= FULL_UP_TO else Form.COIN


def width(form: Form, K: int) -> int:
    """Numbers kept for each respondent."""
    return K * K if form is Form.FULL else 1 + K


def quantise(posterior: Tensor) -> Tensor:
    """Round to the nearest multiple of 2^-32. Rows of K then sum to 1 within K * 2^-33."""
    return (posterior / GRID).round() * GRID


def tally(layout: "Layout", posterior: Tensor) -> Tensor:
    """Expected counts of every annotator: posterior (I, K) -> (J, width)."""
    J, K = layout.J, layout.K
    if layout.form is Form.FULL:
        cells = layout.counts.sum(posterior)  # (J * K, K) [label, true class]
        return cells.reshape(J, K, K).transpose(1, 2).reshape(J, K * K)
    right = layout.counts.sum(posterior.reshape(-1, 1))
    return torch.cat([right, layout.labels.to(posterior.dtype)], 1)


def coin(form: Form, K: int, statistics: Tensor) -> Tensor:
    """The same knowledge as one coin: (J, width) -> (J, 1 + K)."""
    if form is Form.COIN:
        return statistics
    cells = statistics.reshape(-1, K, K)
    right = cells.diagonal(dim1=1, dim2=2).sum(1, keepdim=True)
    return torch.cat([right, cells.sum(1)], 1)
