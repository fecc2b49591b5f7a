"""Tables of float64 numbers as two digits in float32 each: they add up without rounding, as fast as float32 does.

A float32 holds every whole number up to 2^24. Digits are whole numbers so small that sums of `rows` of them stay below
that; longer sums are taken in pieces, which add up without rounding in float64. Their order then leaves no trace.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

GRID = 2.0**-32  # of posteriors
ROWS = 2**12  # to be converted at a time
WIDE = 5  # columns: below, digits cost more than they save


@dataclass(frozen=True, slots=True)
class Scale:
    """A number is (high * base + low) * step."""

    step: float
    base: int
    rows: int  # so many numbers add up without rounding


PROBABILITIES = Scale(GRID, 2**16, 2**8)  # up to 1
LOGS = Scale(2.0**-34, 2**20, 2**4)  # up to 64 either way: the log of 10^-27


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """R rows of C numbers, to be summed: wide tables of float64 in digits (R, 2, C), others plainly (R, C)."""

    tensor: Tensor
    scale: Scale

    @classmethod
    def empty(cls, R: int, C: int, scale: Scale, dtype: torch.dtype, device: torch.device) -> "Table":
        if C < WIDE or dtype != torch.float64:
            return cls(torch.empty(R, C, dtype=dtype, device=device), scale)
        return cls(torch.empty(R, 2, C, dtype=torch.float32, device=device), scale)

    @classmethod
    def of(cls, numbers: Tensor, scale: Scale) -> "Table":
        """The numbers (R, C) float64, rounded to the grid."""
        table = cls.empty(numbers.shape[0], numbers.shape[1], scale, torch.float64, numbers.device)
        table.put(numbers / scale.step)
        return table

    @property
    def digits(self) -> bool:
        return self.tensor.dim() == 3

    def rows(self, first: int, count: int) -> "Table":
        """A view."""
        return Table(self.tensor[first : first + count], self.scale)

    def put(self, steps: Tensor) -> None:
        """Fill the table with numbers (R, C) float64, given in steps of the grid and used up."""
        steps.round_()
        if not self.digits:
            self.tensor.copy_(steps.mul_(self.scale.step))
            return
        high = steps.mul(1 / self.scale.base).round_()
        self.tensor[:, 0] = high
        self.tensor[:, 1] = steps.sub_(high, alpha=self.scale.base)

    def steps(self) -> Tensor:
        """The numbers (R, C) float64 in steps of the grid; a copy."""
        if not self.digits:
            return self.tensor.to(torch.float64) / self.scale.step
        return self.tensor[:, 0].to(torch.float64).mul_(self.scale.base).add_(self.tensor[:, 1])

    def numbers(self) -> Tensor:
        """(R, C) float64; a copy."""
        return self.steps().mul_(self.scale.step)

    def used_up(self) -> Tensor:
        """The numbers (R, C) float64 on the grid, in the memory of the table if they have room there."""
        if not self.digits:
            return self.tensor.to(torch.float64).mul_(1 / self.scale.step).round_().mul_(self.scale.step)
        numbers = self.tensor.flatten(1).view(torch.float64)
        for first in range(0, len(numbers), ROWS):
            numbers[first : first + ROWS] = self.rows(first, ROWS).numbers()
        return numbers
