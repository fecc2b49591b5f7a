"""Faster EM: extrapolate along the path that the iteration takes.

SQUAREM, scheme S3 of Varadhan & Roland (2008), "Simple and globally convergent methods for accelerating the convergence
of any EM algorithm": with r = F(q) - q and v = F(F(q)) - F(q) - r, go to q - 2 a r + a^2 v, a = -|r| / |v|, and apply F
once more. An extrapolation from which F moves further than before is given up.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from consensus.segment import block_sum

Step = Callable[[Tensor], Tensor]

CYCLES = 200
TOLERANCE = 1e-9
LONGEST = 4096.0


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    posterior: Tensor  # (I, K)
    residuals: tuple[float, ...]  # the largest change of a probability, one number per step
    converged: bool


def settle(step: Step, posterior: Tensor, cycles: int = CYCLES) -> Settled:
    """Repeat `step` until no probability moves by more than `TOLERANCE`."""
    residuals: list[float] = []
    for _ in range(cycles):
        first = step(posterior)
        second = step(first)
        r = first - posterior
        v = second - first - r
        far, bend = (float(x) for x in block_sum(torch.stack([r.square().sum(1), v.square().sum(1)], 1)).sqrt())
        moved = change(second, first)
        residuals += [change(first, posterior), moved]
        if moved <= TOLERANCE:
            return Settled(second, tuple(residuals), True)
        posterior = second
        length = min(far / bend, LONGEST) if bend > 0 else 1.0
        if length > 1.0:
            ahead = (posterior + 2 * (length - 1) * r + (length**2 - 1) * v).clamp(min=0)
            ahead = ahead / ahead.sum(1, keepdim=True)
            third = step(ahead)
            residuals.append(change(third, ahead))
            if residuals[-1] <= 4 * moved:
                posterior = third
    return Settled(step(posterior), tuple(residuals), False)


def change(after: Tensor, before: Tensor) -> float:
    return float((after - before).abs().max()) if after.numel() else 0.0
