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
from consensus.layout import Items, Layout
from consensus.segment import Segments, block_sum

USUAL = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What the answers to I items say."""

    evidence: Tensor  # (I, K) log p(answers to the item | true class)
    worth: Tensor  # (I, 1) the effective number of answers, (Σ w)^2 / Σ w^2, w the range of what each says (Kish)


def hear(items: Items, answers: Segments, log: Tensor) -> Heard:
    """Add up what `answers` say of `items`.

    Args:
        log: log p(label | true class) of one answer: FULL by row of `answers` (R, K), COIN by annotator (J, 2) for
            right and wrong.
    """
    top, bottom = log.amax(1, keepdim=True), log.amin(1, keepdim=True)
    size = top - bottom
    if items.form == Form.FULL:
        sums = answers.sum(torch.cat([log, size, size.square()], 1))
        evidence, sizes = sums[:, : items.K], sums[:, items.K :]
    else:
        columns = torch.cat([log[:, :1] - log[:, 1:], log[:, 1:], size, size.square()], 1)
        votes = answers.sum(columns).reshape(items.I, items.K, 4)
        totals = votes.sum(1)
        evidence, sizes = votes[:, :, 0] + totals[:, 1:2], totals[:, 2:]
    return Heard(evidence, worth(sizes[:, :1], sizes[:, 1:]))


def worth(size: Tensor, square: Tensor) -> Tensor:
    """The effective number of answers, from Σ w and Σ w^2; at least 1."""
    return (size.square() / square.clamp(min=1e-12)).clamp_(min=1)


def residual_agreement(layout: Layout, log: Tensor, posterior: Tensor) -> Tensor:
    """() ρ, its posterior mean: shrunk to zero by as much as it is uncertain. `log`: as in :func:`hear`, by cell."""
    pairs = _full(layout, log) if layout.form == Form.FULL else _coin(layout, log)
    by_item = torch.stack([(posterior * sums).sum(1) for sums in pairs], 1)  # (I, 3)
    total, size, spread = block_sum(by_item)
    size = size.clamp(min=1e-9)
    correlation = total / size
    deviation = by_item[:, :1] - correlation * by_item[:, 1:2]
    seen = block_sum(deviation.square()).squeeze() / size.square()
    chance = 2 * spread / size.square()  # the variance if the model holds
    return correlation * USUAL**2 / (USUAL**2 + seen.maximum(chance))


def _full(layout: Layout, log: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(I, K) each: sums over pairs of answers of r r, of sd sd, and of sd^2 sd^2."""
    K = layout.K
    own = torch.eye(K, dtype=log.dtype, device=log.device).repeat(layout.J, 1)  # (J * K, K)
    accuracy = log.reshape(-1, K, K).diagonal(dim1=1, dim2=2).exp().repeat_interleave(K, 0)
    surprise, variance = own - accuracy, accuracy * (1 - accuracy)
    columns = (surprise, surprise.square(), variance.sqrt(), variance, variance.square())
    r, rr, sd, var, vv = (layout.evidence.sum(column) for column in columns)
    return r.square() - rr, sd.square() - var, var.square() - vv


def _coin(layout: Layout, log: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    a = log[:, :1].exp()
    variance = a * (1 - a)
    columns = [a, a.square(), (1 - a).square() - a.square(), variance.sqrt(), variance, variance.square()]
    votes = layout.evidence.sum(torch.cat(columns, 1)).reshape(layout.I, layout.K, 6)
    expected, squares, _, sd, var, vv = votes.sum(1, keepdim=True).unbind(2)
    r, rr = layout.votes - expected, squares + votes[:, :, 2]
    every = (-1, layout.K)
    return r.square() - rr, (sd.square() - var).expand(every), (var.square() - vv).expand(every)
