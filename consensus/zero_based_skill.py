"""Zero-based skill: Wawa repeated, each answer weighing as much as its author agrees with the weighted vote.

As crowd-kit defines it: skills start equal and follow the agreement by gradient steps,

    q_ik ∝ Σ_{n of i, label_n = k} s_{j_n}
    s_j ← s_j + η (a_j - s_j),   a_j = Σ_{n of j} [label_n leads q of item_n] / n_j,  ties counted by their share

with η halved every 20 iterations, from 1. There is no objective; `Fit.residuals` is the largest |a_j - s_j| of each
iteration. Agreement jumps where the lead of an item changes, so that a fixed point need not exist: η then brings the
skills to rest between the two sides. It ends when no skill moves by more than 1e-9.

Live, the skill is the expected one of :mod:`consensus.wawa`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus import account
from consensus.account import Account
from consensus.answers import Answers
from consensus.fit import Fit
from consensus.form import Form, form_for
from consensus.layout import arrange
from consensus.one_coin import Coin
from consensus.prior import Prior
from consensus.reliability import Reliability
from consensus.statistics import coin, count, quantise
from consensus.uncalibrated import Uncalibrated
from consensus.votes import shares
from consensus.wawa import agreement, even_prior, expected_skill, weighted_shares

HALVED_EVERY = 20
LIMIT = 600
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class ZeroBasedSkill(Uncalibrated):
    """Prior: `coin` (2,), as in :mod:`consensus.one_coin`."""

    name: str = "zero-based-skill"
    version: str = "1"

    def prior(self, K: int, form: Form) -> Prior:  # noqa: ARG002 - the same for both
        return even_prior(K)

    def fit(self, answers: Answers, *, form: Form | None = None) -> Fit:
        form = form or form_for(answers.K)
        layout = arrange(answers, Form.COIN)
        votes = shares(layout)
        skill = torch.ones(answers.J, dtype=torch.float64, device=answers.device)
        residuals: list[float] = []
        converged = False
        while not converged and len(residuals) < LIMIT:
            rate = 0.5 ** (len(residuals) // HALVED_EVERY)
            gaps = []
            for _ in range(HALVED_EVERY):
                gap = agreement(layout, weighted_shares(layout, votes, skill)) - skill
                skill = skill + rate * gap
                gaps.append(torch.cat([gap.abs(), gap.new_zeros(1)]).amax())
            residuals += torch.stack(gaps).tolist()
            converged = rate * residuals[-1] <= TOLERANCE
        posterior = quantise(weighted_shares(layout, votes, skill))
        statistics = count(form, answers, posterior)
        prior = even_prior(answers.K, coin(form, answers.K, statistics))
        return Fit(
            posterior=posterior,
            published=self.unclamped(answers, posterior, statistics, prior, form=form),
            statistics=statistics,
            prior=prior,
            objective=(),
            residuals=tuple(residuals),
            iterations=len(residuals),
            converged=converged,
            model=self.name,
            version=self.version,
        )

    def update(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        layout = arrange(answers, Form.COIN)
        return quantise(weighted_shares(layout, shares(layout), expected_skill(statistics, prior, form)))

    def account(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Account:
        return account.votes(answers, expected_skill(statistics, prior, form)[answers.annotator])

    def reliability(self, statistics: Tensor, prior: Prior, *, form: Form) -> Reliability:
        return Coin().reliability(coin(form, prior["classes"].numel(), statistics), prior)


MODEL = ZeroBasedSkill()
