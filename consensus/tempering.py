"""How sure to be at a stop: posteriors tempered until they foretell what comes next.

A posterior that is right under its model may be looked at after every answer and the collection stopped at will
(`stopping`); the model at hand is not quite right. Reliabilities are estimates, answers to one challenge have the
challenge in common, and whoever stops at the first high confidence selects errors. So confidence at a stop is

    q'_ik ∝ q_ik^(λ n_i^-p)

with q the raw posterior after n_i answers. It is monotone, and which class leads never changes. Scale λ and growth p
maximise what Dawid (1984, "Statistical theory: the prequential approach") scores a forecaster by: on prefixes, the log
probability of what came next, given what had come before,

    Σ_m log Σ_k q'_mk w_mk + log prior(λ, p)

w_mk is the probability of the answers that came after if the class is k (`foresight`); no truth is needed. Where truth
is known, w is one-hot (`replay`). What no answers can show, a crowd that is wrong together, is seen on such gold alone.
"""

from dataclasses import dataclass
from math import exp, log

import torch
from torch import Tensor

from consensus.statistics import GRID

SCALES = (-3.0, 0.0)  # of log λ: what was not foreseen makes less sure, nothing makes surer than the model
GROWTHS = (0.0, 1.2)
STEPS = 5
FINER = 6
DEVIATIONS = (0.5, 0.3)  # of log λ and p in their prior, around what the default model publishes with


@dataclass(frozen=True, slots=True)
class Tempering:
    """λ and p. The default is the default model's for its published probabilities, before anything was foretold."""

    scale: float = 1.0
    growth: float = 0.8

    def apply(self, posterior: Tensor, answers: Tensor) -> Tensor:
        """(I, K) raw posteriors after (I,) answers -> (I, K) probabilities to decide by."""
        return _temper(_log(posterior), answers, self.scale, self.growth).exp()


def learn(
    posterior: Tensor,
    answers: Tensor,
    likelihood: Tensor,
    weight: Tensor | None = None,
    usual: Tempering | None = None,
) -> Tempering:
    """The tempering under which M states foretell best what came next.

    Args:
        posterior: (M, K) raw, of a challenge as it was.
        answers: (M,) how many answers it had then, at least one.
        likelihood: (M, K) the probability of what came after, by true class and up to a factor of the row. One-hot
            where the true class is known.
        weight: (M,) of each state, 1 by default: many prefixes of one challenge know no more than one.
        usual: where the prior has its centre, by default `Tempering()`.
    """
    log_posterior = _log(posterior)
    start = usual or Tempering()
    centre, reach = (log(start.scale), start.growth), (SCALES, GROWTHS)

    def worth(log_scale: float, growth: float) -> float:
        tempered = _temper(log_posterior, answers, exp(log_scale), growth)
        foretold = (tempered.exp() * likelihood).sum(1).clamp(min=GRID).log()
        foretold = foretold.sum() if weight is None else foretold @ weight
        apart = ((log_scale - log(start.scale)) / DEVIATIONS[0], (growth - start.growth) / DEVIATIONS[1])
        return float(foretold) - sum(far**2 for far in apart) / 2

    for _ in range(FINER):
        grids = [torch.linspace(low, high, STEPS, dtype=torch.float64).tolist() for low, high in reach]
        centre = max(((scale, growth) for scale in grids[0] for growth in grids[1]), key=lambda point: worth(*point))
        steps = [(high - low) / (STEPS - 1) for low, high in reach]
        bounds = (SCALES, GROWTHS)
        reach = tuple(  # type: ignore[assignment]
            (max(middle - step, low), min(middle + step, high))
            for middle, step, (low, high) in zip(centre, steps, bounds, strict=True)
        )
    return Tempering(exp(centre[0]), centre[1])


def _log(posterior: Tensor) -> Tensor:
    """Probabilities below half a step of the grid are as good as that."""
    return posterior.clamp(min=GRID / 2).log()


def _temper(log_posterior: Tensor, answers: Tensor, scale: float, growth: float) -> Tensor:
    power = scale * answers.clamp(min=1).to(log_posterior.dtype) ** -growth
    return (power[:, None] * log_posterior).log_softmax(1)
