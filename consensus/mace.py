"""MACE, multi-annotator competence estimation: an annotator either knows the class or guesses.

Hovy, Berg-Kirkpatrick, Vaswani & Hovy (2013), "Learning whom to trust with MACE", section 3: annotator j knows with
probability θ_j, and otherwise gives label l with probability ξ_jl, whatever the class.

    p(label = l | true class k) = θ_j [l = k] + φ_jl,     φ_jl = (1 - θ_j) ξ_jl
    (θ_j, φ_j1, ..., φ_jK) ~ Dirichlet(1 + A, 1 + D, ..., 1 + D)

Whether an answer was a guess is summed out, not sampled or held in a second posterior: with c_l the expected number of
right answers l and m_l that of wrong ones, the M-step maximises, a concave problem,

    Σ_l c_l log(θ + φ_l) + Σ_l (m_l + D) log φ_l + A log θ      subject to  θ + Σ_l φ_l = 1.

Its multiplier is λ = Σ_l (c_l + m_l + D) + A, each φ_l the positive root of λφ² + (λθ - c_l - m_l - D)φ = (m_l + D)θ,
and θ the one root of a convex function, found by Newton steps from above. It is a function of the expected counts
alone. The classes' shares are those of :mod:`consensus.em`, where the paper has them uniform.

In form COIN guesses are even, φ_l = (1 - θ) / K: counts of right and wrong are then all there is to know.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus.em import EM
from consensus.form import Form
from consensus.one_coin import ACCURACY, POOLING, STRENGTH
from consensus.prior import Prior
from consensus.reliability import Reliability, interval
from consensus.segment import block_sum
from consensus.statistics import GRID, coin

NEWTON = 25
LEAST = 0.1


@dataclass(frozen=True, slots=True)
class Guessing:
    """Prior: `guessing` (2,), pseudo-answers known (A) and guessed (K D)."""

    form: Form

    def pseudo_counts(self, K: int, statistics: Tensor | None = None) -> dict[str, Tensor]:
        """In the proportion in which answers side with the vote more often than by chance; a tenth known at least."""
        pooled = torch.tensor([ACCURACY, 1 - ACCURACY], dtype=torch.float64) * POOLING
        if statistics is not None:
            total = block_sum(coin(self.form, K, statistics))
            pooled = pooled.to(total.device) + torch.stack([total[0], total[1:].sum() - total[0]])
        knows = (1 - pooled[1] / pooled.sum() * K / max(K - 1, 1)).clamp(LEAST, 1 - LEAST)
        return {"guessing": STRENGTH * torch.stack([knows, 1 - knows])}

    def maximise(self, statistics: Tensor, prior: Prior) -> tuple[Tensor, Tensor]:
        knows, guesses = self._shares(statistics, prior)
        A, D = prior["guessing"]
        log_prior = block_sum(A * knows.log()[:, None] + D * guesses.log().mean(1, keepdim=True)).squeeze()
        if self.form == Form.FULL:
            return _confusion(knows, guesses).log(), log_prior
        wrong, K = guesses[:, 0], guesses.shape[1]
        return torch.stack([knows + wrong, wrong * max(K - 1, 1)], 1).log()[:, None], log_prior

    def reliability(self, statistics: Tensor, prior: Prior) -> Reliability:
        knows, guesses = self._shares(statistics, prior)
        K = guesses.shape[1]
        accuracy = knows + guesses @ prior["classes"]
        strength = coin(self.form, K, statistics)[:, 1:].sum(1) + prior["guessing"].sum()
        doubtful = accuracy.clamp(max=1 - GRID)  # with one class there is no doubt, and no Beta distribution either
        low, high = interval(doubtful * strength, (1 - doubtful) * strength)
        return Reliability(accuracy, low, high, _confusion(knows, guesses))

    def _shares(self, statistics: Tensor, prior: Prior) -> tuple[Tensor, Tensor]:
        """θ (J,) and φ (J, K) at the maximum."""
        K = prior["classes"].numel()
        A, D = prior["guessing"]
        if self.form == Form.COIN:
            knows = _even(statistics[:, 0], statistics[:, 1:].sum(1), A, D, max(K, 2))
            return knows, ((1 - knows) / K)[:, None].expand(-1, K)
        cells = statistics.reshape(-1, K, K)
        right = cells.diagonal(dim1=1, dim2=2)
        return _uneven(right, cells.sum(1) - right + D / K, A)


def _even(right: Tensor, total: Tensor, A: Tensor, D: Tensor, K: int) -> Tensor:
    """θ (J,) if guesses are even: the positive root of (K - 1)λθ² - bθ = A."""
    scale = (K - 1) * (total + A + D)
    b = (K - 1) * (right + A) - A - (total - right + D)
    return _root(scale, b, A)


def _uneven(right: Tensor, wrong: Tensor, A: Tensor) -> tuple[Tensor, Tensor]:
    """θ (J,) and φ (J, K) from the right answers (J, K) and the wrong ones with their pseudo-answers (J, K)."""
    total = (right + wrong).sum(1, keepdim=True) + A  # λ
    knows = torch.ones_like(total)
    for _ in range(NEWTON):
        excess = right + wrong - total * knows
        root = (excess.square() + 4 * total * wrong * knows).sqrt()
        guesses = _root(total, excess, wrong * knows)
        slope = 1 + ((2 * wrong - excess) / root - 1).sum(1, keepdim=True) / 2
        knows = knows - (knows + guesses.sum(1, keepdim=True) - 1) / slope
    return knows.squeeze(1), _root(total, right + wrong - total * knows, wrong * knows)


def _root(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The positive root of ax² - bx = c, a and c positive, without cancellation."""
    root = (b.square() + 4 * a * c).sqrt()
    return torch.where(b > 0, (b + root) / (2 * a), 2 * c / (root - b))


def _confusion(knows: Tensor, guesses: Tensor) -> Tensor:
    """(J,), (J, K) -> (J, K, K) [true class, label]."""
    return torch.diag_embed(knows[:, None].expand_as(guesses)) + guesses[:, None]


MODEL = EM(name="mace", version="2", full=Guessing(Form.FULL), coin=Guessing(Form.COIN))
