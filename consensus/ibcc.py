"""Independent Bayesian classifier combination (iBCC): Dawid-Skene with the confusion matrices integrated out.

Kim & Ghahramani (2012), "Bayesian classifier combination", section 2; variational inference as in Simpson, Roberts,
Psorakis & Smith (2013), "Dynamic Bayesian combination of multiple imperfect classifiers", section 4:

    θ_jk ~ Dirichlet(α_k),  p(label = l | true class k) = θ_jkl
    q(θ_jk) = Dirichlet(α_k + N_j[k, ·])                          their equations 14 and 15
    log q_ik = log π_k + Σ_{n of i} E log θ_{j_n, k, label_n} + const,  E log θ_jkl = ψ(α_kl + N_j[k, l]) - ψ(Σ_l ...)

ψ is the digamma function. The bound is Σ_i log Σ_k π_k exp(Σ_n E log θ) - Σ_jk KL(q(θ_jk) | p(θ_jk)) + log p(π).

Two departures. π is the point that maximises the bound, and anchored as in :mod:`consensus.anchor`. α_k is 4 on the
diagonal and, for two classes, 1 off it, as is usual; for K classes it is the α off the diagonal with
ψ(α) = ψ(1) - log(K - 1): one answer of somebody unknown then is right with the same probability, 0.86, whatever K. A
fixed 1 would drown it. Form COIN has the row (4, 1) of right and wrong, which says the same.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from consensus.dawid_skene import Confusion
from consensus.dirichlet import divergence, expected_log, inverse_digamma
from consensus.em import EM
from consensus.form import Form
from consensus.one_coin import Coin
from consensus.prior import Prior
from consensus.reliability import Reliability
from consensus.segment import block_sum
from consensus.tables import spread, tables

RIGHT = 4.0
WRONG = 1.0
NAMES = {Form.FULL: "confusion", Form.COIN: "coin"}


@dataclass(frozen=True, slots=True)
class Integrated:
    """Rows of Dirichlet distributions. Prior: `confusion` (K, K) or `coin` (2,), their pseudo-answers."""

    form: Form

    def pseudo_counts(self, K: int, statistics: Tensor | None = None) -> dict[str, Tensor]:
        counts = rows(self.form, K)
        counts = counts if self.form == Form.FULL else counts[0]
        return {NAMES[self.form]: counts if statistics is None else counts.to(statistics.device)}

    def maximise(self, statistics: Tensor, prior: Prior) -> tuple[Tensor, Tensor]:
        """With E log θ for log p(label | class), and for log p(θ) the rows' divergence from their prior, negated."""
        counts = self._counts(statistics, prior)
        return expected_log(counts), -block_sum(divergence(counts, prior[NAMES[self.form]])).sum()

    def reliability(self, statistics: Tensor, prior: Prior) -> Reliability:
        return (Confusion() if self.form == Form.FULL else Coin()).reliability(statistics, prior)

    def _counts(self, statistics: Tensor, prior: Prior) -> Tensor:
        return tables(self.form, prior["classes"].numel(), statistics) + prior[NAMES[self.form]]


def rows(form: Form, K: int) -> Tensor:
    """(R, L) pseudo-answers for K classes."""
    if form == Form.COIN or K < 3:
        return spread(form, K, RIGHT, WRONG)
    psi = float(torch.digamma(torch.tensor(WRONG, dtype=torch.float64)))
    return spread(form, K, RIGHT, inverse_digamma(psi - math.log(K - 1)))


MODEL = EM(name="ibcc", version="2", full=Integrated(Form.FULL), coin=Integrated(Form.COIN))
