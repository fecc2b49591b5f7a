"""Expected counts: what the engine remembers of a respondent between one batch and the next.

S_j = sum over j's answers of the posterior of the item answered. Posteriors are put on a grid of 2^-32 before they are
counted. Multiples of 2^-32 below 2^21 are exact in float64, and so are their sums: for a respondent with up to 2^21
answers, adding and taking out contributions in any order gives the same bits as counting anew.
"""

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.digits import GRID, Table
from consensus.form import Form, form_for, width
from consensus.layout import Layout

__all__ = [
    "GRID",
    "Form",
    "by_label",
    "coin",
    "count",
    "difference",
    "form_for",
    "quantise",
    "quantise_",
    "tally",
    "width",
]


def quantise(posterior: Tensor) -> Tensor:
    """Round to the nearest multiple of 2^-32. A row of K then sums to 1 within K * 2^-33."""
    return quantise_(posterior.clone())


def quantise_(posterior: Tensor) -> Tensor:
    """As :func:`quantise`, in place."""
    return posterior.mul_(1 / GRID).round_().mul_(GRID)


def count(form: Form, answers: Answers, posterior: Tensor) -> Tensor:
    """Expected counts of every annotator: posterior (I, K) on the grid -> (J, width).

    Nothing is sorted: sums that do not round are the same in any order.
    """
    return _count(form, answers, answers.item, posterior, torch.ones_like(answers.item))


def difference(form: Form, answers: Answers, step: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """(J, width) what is to be added to expected counts when posteriors (I, K) and counted answers change.

    Args:
        step: (N,) int64, 1 of answers that count from now on, -1 of those that do so no longer, 0 of all others.
    """
    kind = torch.where(step < 0, 2, step)
    changes = torch.cat([new - old, new, -old])
    return _count(form, answers, torch.add(answers.item, kind, alpha=answers.I), changes, step)


def _count(form: Form, answers: Answers, item: Tensor, posterior: Tensor, step: Tensor) -> Tensor:
    """`item` (N,) are rows of `posterior`, if need be others than the answers'; `step` is added to counts of labels."""
    K, annotator, label = answers.K, answers.annotator, answers.label
    statistics = posterior.new_zeros(answers.J, width(form, K))
    flat = statistics.view(-1)
    if form == Form.FULL:
        first = torch.add(label, annotator, alpha=K * K)  # of the K numbers that an answer adds to
        for k, column in enumerate(posterior.t().contiguous()):
            flat[k * K :].index_add_(0, first, column.index_select(0, item))
    else:
        first = annotator * (1 + K)
        flat.index_add_(0, first, posterior.flatten()[item * K + label])
        flat.index_add_(0, first + 1 + label, step.to(posterior.dtype))
    return statistics


def tally(layout: Layout, posterior: Tensor | Table) -> Tensor:
    """As :func:`count`, on answers already arranged; a table is shaped as the layout's sums have it.

    Numbers that are not on the grid are added up in the order of the layout.
    """
    J, K = layout.J, layout.K
    statistics = torch.empty(J, width(layout.form, K), dtype=torch.float64, device=layout.counts.index.device)

    def put_cells(first: int, cells: Tensor) -> None:
        start, size = first // K, len(cells) // K
        by_label = statistics[start : start + size].view(size, K, K).transpose(1, 2)  # [label, true class]
        by_label.copy_(cells.view(size, K, K))

    def put_right(first: int, right: Tensor) -> None:
        statistics[first : first + len(right), :1] = right

    if layout.form == Form.FULL:
        layout.counts.sum_into(put_cells, posterior)
    else:
        layout.counts.sum_into(put_right, posterior if isinstance(posterior, Table) else posterior.reshape(-1, 1))
        statistics[:, 1:] = layout.labels
    return statistics


def by_label(layout: Layout, posterior: Tensor | Table, counts: Tensor) -> Tensor:
    """The counts of :func:`tally` in the order in which the sums come, for FULL, into (J, K, K) [label, true class]."""
    sums = counts.view(-1, layout.K)

    def put(first: int, cells: Tensor) -> None:
        sums[first : first + len(cells)] = cells

    layout.counts.sum_into(put, posterior)
    return counts


def coin(form: Form, K: int, statistics: Tensor) -> Tensor:
    """The same knowledge in the form of one coin: (J, width) -> (J, 1 + K)."""
    if form == Form.COIN:
        return statistics
    cells = statistics.reshape(-1, K, K)
    right = cells.diagonal(dim1=1, dim2=2).sum(1, keepdim=True)
    return torch.cat([right, cells.sum(1)], 1)
