"""What a fit may take of the memory, planned before it starts.

Most of it cannot be cut: the answers, two sorted lists of 4 bytes an answer, the posteriors and the annotators' tables.
What can be cut is sorting, which goes in pieces if need be, and the width of the numbers. E-steps work block by block
in any case. float64 is chosen wherever it fits: its results are the same to 1e-8 on every machine.
"""

from dataclasses import dataclass

import torch

from consensus.errors import MemoryLimitError
from consensus.form import Form, width
from consensus.layout import BLOCK, CHUNK, PIECE, PIECES

FINER = (1, 4, 16)
SORTED = 80  # bytes an answer in sorting: both codes, sorted codes, their places, and what torch's sort works in
LISTED = 8  # bytes an answer in both sorted lists
CODED = 16  # bytes an answer in the codes of both sides, and in the list into which they are sorted
GIVEN = 24  # bytes an answer as they are given
WORKING = 64  # bytes an answer or a posterior in the parts worked on at a time


@dataclass(frozen=True, slots=True)
class Plan:
    """How a fit goes about it."""

    dtype: torch.dtype = torch.float64
    finer: int = 1  # than usual are the pieces in which answers are sorted
    peak: int = 0  # bytes, about, at the worst moment


def plan(
    N: int, I: int, J: int, K: int, form: Form, *, max_memory: int | None = None, dtype: torch.dtype | None = None
) -> Plan:
    """The fastest way within `max_memory` bytes, counting the answers but not what the process had loaded before.

    Raises:
        MemoryLimitError: there is none.
    """
    kinds = (torch.float64, torch.float32) if dtype is None else (dtype,)
    plans = [Plan(kind, finer, _peak(N, I, J, K, form, kind, finer)) for kind in kinds for finer in FINER]
    if max_memory is None:
        return plans[0]
    fitting = next((plan for plan in plans if plan.peak <= max_memory), None)
    if fitting is None:
        raise MemoryLimitError(max_memory, min(plan.peak for plan in plans))
    return fitting


def _peak(N: int, I: int, J: int, K: int, form: Form, dtype: torch.dtype, finer: int) -> int:
    size, posteriors, tables = dtype.itemsize, I * K, J * width(form, K)
    listed = (GIVEN + LISTED) * N
    sorting = listed + CODED * N + SORTED * torch.get_num_threads() * max(min(N, PIECE), N / PIECES) / finer
    working = WORKING * torch.get_num_threads() * (min(N, CHUNK) + min(posteriors, BLOCK))
    iterating = listed + working + size * posteriors + (8 + size) * tables
    ending = listed + (size + 8) * posteriors + 8 * tables if size < 8 else 0
    return int(max(sorting, iterating, ending))
