"""Sums over segments: the one operation of which E-steps and M-steps are made."""

import functools
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, pad

BLOCKS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Which rows of a table belong to which sum: segment s takes rows index[offsets[s]:offsets[s + 1]], in order."""

    index: Tensor  # (N,) integers
    offsets: Tensor  # (S + 1,) integers of the same type, from 0 to N, not falling

    @classmethod
    def of(cls, segment: Tensor, S: int, index: Tensor, R: int) -> "Segments":
        """Rows `index` below R in the segments `segment` below S, both (N,), the latter sorted.

        32 bits to a number wherever they suffice: the sparse product then need not convert them every time.
        """
        kind = torch.int32 if max(R, index.numel()) < 2**31 else torch.int64
        ends = torch.bincount(segment, minlength=S).cumsum(0)
        return cls(index.to(kind), pad(ends, (1, 0)).to(kind))

    def sum(self, values: Tensor) -> Tensor:
        """values (R, C) -> (S, C)."""
        return segment_sum(values, self.index, self.offsets)


def segment_sum(values: Tensor, index: Tensor, offsets: Tensor) -> Tensor:
    """Sum rows of `values` (R, C) within segments -> (S, C), S = len(offsets) - 1; an empty segment sums to 0.

    Row s is the sum of values[index[n]] for n in [offsets[s], offsets[s + 1]), added in the order of n: no atomics, so
    the result is the same for every number of threads. float64 on the CPU goes through a sparse CSR matrix times
    `values`, which is 10 to 20 times as fast there as `embedding_bag`; everything else goes through `embedding_bag`.
    """
    S = offsets.numel() - 1
    if S == 0 or index.numel() == 0:
        return values.new_zeros(S, values.shape[1])
    if values.dtype != torch.float64 or values.device.type != "cpu":
        return embedding_bag(index, values, offsets, mode="sum", include_last_offset=True)
    _accept_beta_notice()
    ones = values.new_ones(index.numel())
    return torch.sparse_csr_tensor(offsets, index, ones, (S, values.shape[0]), check_invariants=False) @ values


def block_sum(values: Tensor) -> Tensor:
    """Sum rows, (R, C) -> (C,), in a fixed number of blocks added in their order.

    `Tensor.sum` splits a long sum among however many threads there are; this does not.
    """
    R, C = values.shape
    height = -(-R // BLOCKS)
    padded = pad(values, (0, 0, 0, BLOCKS * height - R))
    return padded.reshape(BLOCKS, height, C).sum(1).cumsum(0)[-1]


@functools.cache
def _accept_beta_notice() -> None:
    """torch warns once per process that CSR tensors are in beta: hear it here instead of in a caller's log."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.sparse_csr_tensor([0, 0], [], [], (1, 1))
