"""Respondents' expected counts as tables, and the evidence of rows fitted to them.

Form FULL has K rows [true class] of K labels; form COIN one row, right and wrong. R and L are their sizes: what holds
for a row then needs no word about the form.
"""

import math

import torch
from torch import Tensor

from consensus.digits import Table
from consensus.form import Form
from consensus.layout import Items, Layout


def tables(form: Form, K: int, statistics: Tensor) -> Tensor:
    """(J, width) -> (J, R, L) expected counts."""
    if form == Form.FULL:
        return statistics.reshape(-1, K, K)
    right = statistics[:, 0]
    return torch.stack([right, statistics[:, 1:].sum(1) - right], 1)[:, None]


def evidence(layout: Items, log_rows: Tensor) -> Tensor:
    """(J, R, L) log p(label | class), or of right and wrong -> (I, K) log p(answers to the item | true class)."""
    return heard(layout, terms(layout.form, layout.K, log_rows))


def terms(form: Form, K: int, log_rows: Tensor) -> Tensor:
    """(J, R, L) -> what :func:`heard` adds up: FULL (J * K, K) by cell, COIN (J, 2) of a class voted for and of all."""
    if form == Form.FULL:
        return log_rows.transpose(1, 2).reshape(-1, K)
    right, wrong = log_rows[:, 0].unbind(1)
    wrong = wrong - math.log(max(K - 1, 1))
    return torch.stack([right - wrong, wrong], 1)


def heard(layout: Items, terms: Tensor | Table) -> Tensor:
    """The items' sums of `terms` -> (I, K) log p(answers to the item | true class)."""
    sums = layout.evidence.sum(terms)
    if layout.form == Form.FULL:
        return sums
    votes = sums.reshape(layout.I, layout.K, 2)
    return votes[:, :, 0] + votes[:, :, 1].sum(1, keepdim=True)


def spread(form: Form, K: int, right: float, wrong: float) -> Tensor:
    """(R, L): `right` where label and class agree, `wrong` for each label where they do not."""
    if form == Form.COIN:
        return torch.tensor([[right, wrong]], dtype=torch.float64)
    return torch.full((K, K), wrong, dtype=torch.float64).fill_diagonal_(right)


def stacked_counts(layout: Layout, joint: Tensor) -> Tensor:
    """Expected counts for M kinds of item in each of T trials: joint (I, T, K, M) -> (J, T, R, M, L)."""
    I, T, K, M = joint.shape
    if layout.form == Form.FULL:
        cells = layout.counts.sum(joint.reshape(I, T * K * M))  # (J * K, T * K * M) [label; true class]
        return cells.reshape(layout.J, K, T, K, M).permute(0, 2, 3, 4, 1)
    right = layout.counts.sum(joint.transpose(1, 2).reshape(I * K, T * M))
    total = layout.counts.sum(joint.sum(2)[:, None].expand(I, K, T, M).reshape(I * K, T * M))
    return torch.stack([right, total - right], 2).reshape(layout.J, T, 1, M, 2)


def stacked_evidence(layout: Items, log_rows: Tensor) -> Tensor:
    """As :func:`evidence`, for M kinds of item in each of T trials: (J, T, R, M, L) -> (I, T, K, M)."""
    J, T, _, M, _ = log_rows.shape
    I, K = layout.I, layout.K
    if layout.form == Form.FULL:
        return layout.evidence.sum(log_rows.permute(0, 4, 1, 2, 3).reshape(J * K, T * K * M)).reshape(I, T, K, M)
    right, wrong = log_rows[:, :, 0].unbind(3)  # (J, T, M)
    wrong = wrong - math.log(max(K - 1, 1))
    votes = layout.evidence.sum(torch.stack([right - wrong, wrong], 1).reshape(J, 2 * T * M)).reshape(I, K, 2, T, M)
    return (votes[:, :, 0] + votes[:, :, 1].sum(1, keepdim=True)).transpose(1, 2)
