"""The E-step, one logical block of items after another.

A block's table fits in the cache, so that its few passes cost little more than the one over the answers, and no second
table of all posteriors is made. Sums over items are taken within the block and then over blocks in their order:
nothing in them depends on threads, memory or ranks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from consensus.anchor import COUNTS, census
from consensus.digits import GRID, PROBABILITIES, Table
from consensus.form import Form
from consensus.layout import Items, Layout, block_height
from consensus.segment import block_sum
from consensus.tables import heard
from consensus.threads import each
from consensus.votes import clamp, shares_of

FEW = 3  # columns: torch adds up rows so short more slowly than columns


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A logical block, its rows of the table of posteriors, and those among its items that have no answers."""

    items: Items
    posterior: Table  # a view
    idle: Tensor  # item numbers

    def put(self, steps: Tensor) -> Tensor:
        """Store the posteriors (I, K), whole numbers of `GRID` -> (K,) sums over answered items, exact."""
        everything = steps.sum(0)
        classes = everything - steps[self.idle].sum(0) if self.idle.numel() else everything
        self.posterior.put(steps.view(-1, self.posterior.tensor.shape[-1]))
        return classes.mul_(GRID)

    def steps(self) -> Tensor:
        """(I, K) the posteriors as whole numbers of `GRID`."""
        return self.posterior.steps().view(self.items.I, self.items.K)


def begin(layout: Layout, dtype: torch.dtype) -> tuple[Table, list[Block], Tensor]:
    """Start at the shares of the votes -> the table of posteriors, shaped for the layout's sums; its blocks; their
    censuses (B, 2 * K + COUNTS), see :mod:`consensus.anchor`.
    """
    K, height = layout.K, block_height(layout.K)
    rows, columns = (1, K) if layout.form == Form.FULL else (K, 1)  # of an item
    device = layout.counts.index.device
    posterior = Table.empty(layout.I * rows, columns, PROBABILITIES, dtype, device)
    blocks = [
        Block(items, posterior.rows(number * height * rows, items.I * rows), items.idle)
        for number, items in enumerate(layout.blocks())
    ]
    counted = torch.zeros(len(blocks), 2 * K + COUNTS, dtype=torch.float64, device=device)

    def fill(part: tuple[Tensor, Block]) -> None:
        total, block = part
        votes, gold = block.items.votes, block.items.gold
        steps = shares_of(votes, gold).div_(GRID).round_()
        total.copy_(census(votes, steps * GRID, gold))
        block.put(steps)

    each(fill, zip(counted, blocks, strict=True), device)
    return posterior, blocks, counted


def expect(blocks: Sequence[Block], terms: Table, log_classes: Tensor, *, watch: bool) -> Tensor:
    """Replace the posteriors by what the terms of log p(label | class), see :mod:`consensus.tables`, and log π (K,)
    make of them.

    Returns (B, K + 2) float64 by block: the classes' sums; the log likelihood; how far the posterior that moved most
    has moved if that is watched, or else 0.
    """
    K = log_classes.numel()
    sums = log_classes.new_zeros(len(blocks), K + 2)

    def revise(part: tuple[Tensor, Block]) -> None:
        total, block = part
        joint = clamp(heard(block.items, terms).add_(log_classes), block.items.gold)
        likelihood = normalise(joint)
        likelihood[block.idle] = 0
        if watch:
            total[K + 1] = block.steps().sub_(joint).abs_().max().mul_(GRID)
        total[:K] = block.put(joint)
        total[K] = block_sum(likelihood).squeeze()

    each(revise, zip(sums, blocks, strict=True), sums.device)
    return sums


def normalise(joint: Tensor) -> Tensor:
    """Turn log p(answers, class) (I, K) into p(class | answers) in whole numbers of `GRID` -> (I, 1) log p(answers)."""
    top = joint.amax(1, keepdim=True)
    joint.sub_(top).exp_()
    few = 1 < joint.shape[1] <= FEW
    total = reduce(torch.add, joint.split(1, 1)) if few else joint.sum(1, keepdim=True)
    joint.mul_(1 / (GRID * total)).round_()
    return top.add_(total.log_())
