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

from consensus.layout import Items, Layout, block_height
from consensus.segment import block_sum
from consensus.statistics import grid, quantise_
from consensus.tables import evidence
from consensus.threads import each
from consensus.votes import clamp, shares

SHORT = 3  # torch adds up rows so short more slowly than columns


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A logical block, its rows of the table of posteriors, and those among them that have no answers."""

    items: Items
    posterior: Tensor  # (I, K), a view
    idle: Tensor  # row numbers

    def classes(self) -> Tensor:
        """(K,) float64, sums over answered items; exact, whatever the order, as posteriors are on the grid."""
        everything = self.posterior.sum(0, dtype=torch.float64)
        return everything - self.posterior[self.idle].sum(0, dtype=torch.float64)


def begin(layout: Layout, posterior: Tensor) -> tuple[list[Block], Tensor]:
    """Fill `posterior` (I, K) with the shares of the votes -> the blocks; (B, K), the classes' sums by block."""
    blocks = [
        Block(items, rows, items.idle)
        for items, rows in zip(layout.blocks(), posterior.split(block_height(layout.K)), strict=False)
    ]
    sums = posterior.new_zeros(len(blocks), layout.K, dtype=torch.float64)

    def fill(part: tuple[Tensor, Block]) -> None:
        total, block = part
        block.posterior.copy_(quantise_(shares(block.items).to(posterior.dtype)))
        total.copy_(block.classes())

    each(fill, zip(sums, blocks, strict=True), sums.device)
    return blocks, sums


def expect(blocks: Sequence[Block], log_rows: Tensor, log_classes: Tensor, *, watch: bool) -> Tensor:
    """Replace the posteriors by what log p(label | class) (J, R, L) and log π (K,) make of them.

    Returns (B, K + 2) float64 by block: the classes' sums; the log likelihood; how far the posterior that moved most
    has moved if that is watched, or else 0.
    """
    K = log_classes.numel()
    sums = log_classes.new_zeros(len(blocks), K + 2, dtype=torch.float64)
    kind = blocks[0].posterior.dtype if blocks else log_rows.dtype
    log_rows, log_classes = log_rows.to(kind), log_classes.to(kind)

    def revise(part: tuple[Tensor, Block]) -> None:
        total, block = part
        joint = evidence(block.items, log_rows).add_(log_classes)
        before = block.posterior.clone() if watch else None
        likelihood = normalise(clamp(joint, block.items.gold), out=block.posterior).to(torch.float64)
        likelihood[block.idle] = 0
        total[:K] = block.classes()
        total[K] = block_sum(likelihood).squeeze()
        if before is not None:
            total[K + 1] = before.sub_(block.posterior).abs_().max()

    each(revise, zip(sums, blocks, strict=True), sums.device)
    return sums


def normalise(joint: Tensor, out: Tensor) -> Tensor:
    """Write p(class | answers) on the grid from log p(answers, class), both (I, K) -> (I, 1), log p(answers).

    `joint` is used up.
    """
    top = joint.amax(1, keepdim=True)
    joint.sub_(top).exp_()
    total = reduce(torch.add, joint.split(1, 1)) if joint.shape[1] <= SHORT else joint.sum(1, keepdim=True)
    step = grid(joint.dtype)
    torch.mul(joint.mul_(1 / (step * total)).round_(), step, out=out)
    return top.add_(total.log_())
