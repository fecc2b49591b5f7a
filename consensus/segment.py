"""Sums over segments: the one operation of which E-steps and M-steps are made."""

import functools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, pad

from consensus.digits import Table
from consensus.threads import each

BLOCKS = 64
COLUMNS = 8  # up to so many, the sparse product keeps a row's sums in registers; beyond, it takes 3 times as long


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Which rows of a table belong to which sum: segment s takes rows index[offsets[s]:offsets[s + 1]], in order.

    The sums are taken `height` segments at a time, whose numbers fit in the cache; it changes no bit of them. `cuts`
    are the offsets at which they begin, and the end.
    """

    index: Tensor  # (N,) integers
    offsets: Tensor  # (S + 1,) integers of the same type, from 0 to N, not falling
    height: int = 0
    cuts: tuple[int, ...] = ()
    ones: Tensor | None = None  # float64, as many as the longest part has rows, if it pays to keep them

    @classmethod
    def of(cls, segment: Tensor, S: int, index: Tensor, R: int) -> "Segments":
        """Rows `index` below R in the segments `segment` below S, both (N,), the latter sorted."""
        return cls.from_lengths(torch.bincount(segment, minlength=S), index, R)

    @classmethod
    def from_lengths(cls, lengths: Tensor, index: Tensor, R: int, height: int = 0) -> "Segments":
        """Segments of these lengths (S,), one after the other, of rows `index` (N,) below R.

        32 bits to a number wherever they suffice: the sparse product then need not convert them every time.
        """
        S, kind = lengths.numel(), integers(max(R, index.numel()))
        offsets = pad(lengths.cumsum(0), (1, 0)).to(kind)
        cuts = (*offsets[:-1:height].tolist(), index.numel()) if 0 < height < S else (0, index.numel())
        longest = max(end - start for start, end in pairwise(cuts))
        ones = torch.ones(longest, dtype=torch.float64) if index.device.type == "cpu" else None
        return cls(index.to(kind), offsets, height, cuts, ones)

    @property
    def lengths(self) -> Tensor:
        """(S,) rows in each segment."""
        return self.offsets.diff()

    def parts(self) -> Iterator["Segments"]:
        """`height` segments at a time, in order; the index is not copied."""
        if len(self.cuts) <= 2:
            yield self
            return
        for number, (start, end) in enumerate(pairwise(self.cuts)):
            first = number * self.height
            yield Segments(self.index[start:end], self.offsets[first : first + self.height + 1] - start, ones=self.ones)

    def sum(self, values: Tensor | Table) -> Tensor:
        """values (R, C) -> (S, C); of a table in float64."""
        if isinstance(values, Table) and values.digits:
            return digit_sum(values, self.index, self.offsets)
        if isinstance(values, Table):
            return self.sum(values.tensor).to(torch.float64)
        if len(self.cuts) <= 2:
            return segment_sum(values, self.index, self.offsets, self.ones)
        total = values.new_empty(self.offsets.numel() - 1, values.shape[1])

        def put(first: int, sums: Tensor) -> None:
            total[first : first + len(sums)] = sums

        self.sum_into(put, values)
        return total

    def sum_into(self, put: Callable[[int, Tensor], None], values: Tensor | Table) -> None:
        """Hand the sums of values (R, C) to `put`, `height` segments at a time, with the number of the first."""

        def add_up(part: tuple[int, Segments]) -> None:
            number, segments = part
            put(number * self.height, segments.sum(values))

        each(add_up, enumerate(self.parts()), self.index.device)


def segment_sum(values: Tensor, index: Tensor, offsets: Tensor, ones: Tensor | None = None) -> Tensor:
    """Sum rows of `values` (R, C) within segments -> (S, C), S = len(offsets) - 1; an empty segment sums to 0.

    Row s is the sum of values[index[n]] for n in [offsets[s], offsets[s + 1]), added in the order of n: no atomics, so
    the result is the same for every number of threads. float64 on the CPU goes through a sparse CSR matrix times
    `values`, which is 10 to 20 times as fast there as `embedding_bag`; everything else goes through `embedding_bag`.
    `ones`, float64 and no fewer than rows to sum, spare it making them.
    """
    S = offsets.numel() - 1
    if S == 0 or index.numel() == 0:
        return values.new_zeros(S, values.shape[1])
    if values.dtype != torch.float64 or values.device.type != "cpu":
        return embedding_bag(index, values, offsets, mode="sum", include_last_offset=True)
    _accept_beta_notice()
    ones = values.new_ones(index.numel()) if ones is None else ones[: index.numel()]
    matrix = torch.sparse_csr_tensor(offsets, index, ones, (S, values.shape[0]), check_invariants=False)
    if values.shape[1] <= COLUMNS:
        return matrix @ values
    return torch.cat([matrix @ columns for columns in values.split(COLUMNS, 1)], 1)


def digit_sum(values: Table, index: Tensor, offsets: Tensor) -> Tensor:
    """As :func:`segment_sum`, of digits (R, 2, C) -> (S, C) float64, without rounding."""
    S, (_, _, C) = offsets.numel() - 1, values.tensor.shape
    if S == 0 or index.numel() == 0:
        return torch.zeros(S, C, dtype=torch.float64, device=index.device)
    lengths = offsets.diff()
    short = int(lengths.max()) <= values.scale.rows
    starts = offsets if short else _cut(offsets, lengths, values.scale.rows)
    sums = embedding_bag(index, values.tensor.flatten(1), starts, mode="sum", include_last_offset=True)
    numbers = Table(sums.view(-1, 2, C), values.scale).numbers()
    if short:
        return numbers
    pieces = torch.searchsorted(starts, offsets, out_int32=offsets.dtype == torch.int32)
    return segment_sum(numbers, torch.arange(len(numbers), dtype=pieces.dtype, device=pieces.device), pieces)


def _cut(offsets: Tensor, lengths: Tensor, rows: int) -> Tensor:
    """Offsets of pieces of at most so many rows; an empty segment has none."""
    pieces = (lengths + rows - 1).div_(rows, rounding_mode="floor")
    ends = pieces.cumsum(0)
    number = torch.arange(int(ends[-1]), device=offsets.device) - (ends - pieces).repeat_interleave(pieces)
    starts = offsets[:-1].repeat_interleave(pieces).add_(number, alpha=rows)
    return torch.cat([starts, offsets[-1:]])


def integers(limit: int) -> torch.dtype:
    """The narrower of the two integer types for numbers up to `limit`."""
    return torch.int32 if limit < 2**31 else torch.int64


def block_sum(values: Tensor) -> Tensor:
    """Sum rows, (R, C) -> (C,), in a fixed number of blocks added in their order.

    `Tensor.sum` splits a long sum among however many threads there are; this does not.
    """
    R, C = values.shape
    height = -(-R // BLOCKS)
    missing = BLOCKS * height - R
    padded = pad(values, (0, 0, 0, missing)) if missing else values
    return padded.reshape(BLOCKS, height, C).sum(1).cumsum(0)[-1]


@functools.cache
def _accept_beta_notice() -> None:
    """torch warns once per process that CSR tensors are in beta: hear it here instead of in a caller's log."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.sparse_csr_tensor([0, 0], [], [], (1, 1))
