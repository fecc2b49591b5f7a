"""Iterating to a fixed point, for models that are no :class:`consensus.em.EM`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

BLOCK = 10
LIMIT = 500
TOLERANCE = 1e-6

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Ascent(Generic[S]):
    """Where it ended."""

    posterior: Tensor  # (I, K)
    state: S
    trace: tuple[float, ...]  # one number per iteration
    converged: bool


def ascend(step: Callable[[Tensor, S], tuple[Tensor, S, Tensor]], posterior: Tensor, state: S) -> Ascent[S]:
    """Repeat `step`: posterior (I, K) and state -> the next ones and a number () that tells how far it is.

    Ends when no posterior moves by more than 1e-6 in an iteration, looked at every 10, or after 500.
    """
    trace: list[float] = []
    converged = False
    while not converged and len(trace) < LIMIT:
        numbers = []
        for _ in range(BLOCK):
            previous = posterior
            posterior, state, number = step(posterior, state)
            numbers.append(number)
        trace += torch.stack(numbers).tolist()
        converged = torch.allclose(posterior, previous, rtol=0, atol=TOLERANCE)
    return Ascent(posterior, state, tuple(trace), converged)
