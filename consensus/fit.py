"""The result of fitting a model to a whole set of answers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.prior import Prior

TIE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What is inferred, what is shown, and the statistics and prior with which a live update goes on from here."""

    posterior: Tensor  # (I, K) float64, gold clamped, on the grid of `statistics.quantise`
    published: Tensor  # (I, K) float64, as `Model.publish` has it: all that is shown comes from here
    statistics: Tensor  # (J, width), counted from exactly this posterior
    prior: Prior
    objective: tuple[float, ...]  # log of what the model maximises, one number per iteration; never falls
    iterations: int
    converged: bool
    model: str
    version: str
    seed: int | None = None  # for models that draw random numbers
    dtype: torch.dtype = torch.float64  # of the iterations; posteriors are returned in float64
    residuals: tuple[float, ...] = ()  # of models without an objective: how far each iteration is from a fixed point
    shape: str = ""  # which of its shapes the model chose, if it has several,
    reason: str = ""  # and why

    @property
    def confidence(self) -> Tensor:
        """(I,) the largest probability."""
        return self.published.amax(1)

    @property
    def ties(self) -> Tensor:
        """(I,) int64, how many classes share the largest probability."""
        return leading(self.published).sum(1)

    @property
    def answer(self) -> Tensor:
        """(I,) int64, the first class among those that share the largest probability."""
        return leading(self.published).to(torch.int8).argmax(1)

    def grades(self, answers: Answers) -> Tensor:
        """(N,) the probability that each answer is right."""
        return self.published[answers.item, answers.label]


def leading(posterior: Tensor) -> Tensor:
    """(I, K) bool: within 1e-9 of the largest of the row."""
    return posterior >= posterior.amax(1, keepdim=True) - TIE
