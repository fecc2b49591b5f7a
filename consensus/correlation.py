"""Answers to one item that agree, or err, together more than their classes explain.

Every model of conditionally independent answers claims that n answers are worth n. What is worth less shows in the
residuals: given the class k, answer n is right with probability p_nk, and r_nk = [label_n = k] - p_nk is its surprise.
The residual agreement is the intraclass correlation (Fisher 1925; Donner & Koval 1980, moment estimator) within items

    ρ = Σ_i Σ_k q_ik Σ_{n ≠ m of i} r_nk r_mk / Σ_i Σ_k q_ik Σ_{n ≠ m of i} sd_nk sd_mk

which is zero but for noise when the model holds, also with q inferred. Its sampling variance is that of a ratio of
sums over items, and no less than under the model; its prior is Normal(0, `USUAL`^2).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus.form import Form
from consensus.layout import Layout
from consensus.segment import block_sum

USUAL = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """What one answer says: `log` p(label | true class), `accuracy` p(right | true class).

    FULL: by cell, annotator * K + label, (J * K, K). COIN: by annotator, (J, 2) for right and wrong, and (J, 1).
    """

    log: Tensor
    accuracy: Tensor


def evidence(layout: Layout, tables: Tables) -> Tensor:
    """(I, K) log p(answers to the item | true class)."""
    if layout.form == Form.FULL:
        return layout.evidence.sum(tables.log)
    apart, wrong = tables.log[:, :1] - tables.log[:, 1:], tables.log[:, 1:]
    votes = layout.evidence.sum(torch.cat([apart, wrong], 1)).reshape(layout.I, layout.K, 2)
    return votes[:, :, 0] + votes[:, :, 1].sum(1, keepdim=True)


def worth(layout: Layout, tables: Tables) -> Tensor:
    """(I, 1) the effective number of answers, (Σ w)^2 / Σ w^2, w the range of what each says of the classes (Kish)."""
    size = tables.log.amax(1, keepdim=True) - tables.log.amin(1, keepdim=True)
    sums = layout.evidence.sum(torch.cat([size, size.square()], 1))
    if layout.form == Form.COIN:
        sums = sums.reshape(layout.I, layout.K, 2).sum(1)
    return (sums[:, :1].square() / sums[:, 1:].clamp(min=1e-12)).clamp(min=1)


def residual_agreement(layout: Layout, tables: Tables, posterior: Tensor) -> Tensor:
    """() ρ, its posterior mean: shrunk to zero by as much as it is uncertain."""
    pairs = _full(layout, tables) if layout.form == Form.FULL else _coin(layout, tables)
    by_item = torch.stack([(posterior * sums).sum(1) for sums in pairs], 1)  # (I, 3)
    total, size, spread = block_sum(by_item)
    size = size.clamp(min=1e-9)
    correlation = total / size
    deviation = by_item[:, :1] - correlation * by_item[:, 1:2]
    seen = block_sum(deviation.square()).squeeze() / size.square()
    chance = 2 * spread / size.square()  # the variance if the model holds
    return correlation * USUAL**2 / (USUAL**2 + seen.maximum(chance))


def _full(layout: Layout, tables: Tables) -> tuple[Tensor, Tensor, Tensor]:
    """(I, K) each: sums over pairs of answers of r r, of sd sd, and of sd^2 sd^2."""
    K = layout.K
    own = torch.eye(K, dtype=tables.log.dtype, device=tables.log.device).repeat(layout.J, 1)  # (J * K, K)
    surprise = own - tables.accuracy
    variance = tables.accuracy * (1 - tables.accuracy)
    columns = (surprise, surprise.square(), variance.sqrt(), variance, variance.square())
    r, rr, sd, var, vv = (layout.evidence.sum(column) for column in columns)
    return r.square() - rr, sd.square() - var, var.square() - vv


def _coin(layout: Layout, tables: Tables) -> tuple[Tensor, Tensor, Tensor]:
    a = tables.accuracy
    variance = a * (1 - a)
    columns = [a, a.square(), (1 - a).square() - a.square(), variance.sqrt(), variance, variance.square()]
    votes = layout.evidence.sum(torch.cat(columns, 1)).reshape(layout.I, layout.K, 6)
    expected, squares, _, sd, var, vv = votes.sum(1, keepdim=True).unbind(2)
    r, rr = layout.votes - expected, squares + votes[:, :, 2]
    every = (-1, layout.K)
    return r.square() - rr, (sd.square() - var).expand(every), (var.square() - vv).expand(every)
