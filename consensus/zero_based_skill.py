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

from consensus.answers import Answers
from consensus.fit import Fit
from consensus.form import Form, form_for
from consensus.layout import arrange
from consensus.prior import Prior
from consensus.votes import shares
from consensus.voting import Voting, weighted_shares
from consensus.wawa import agreement, expected_skill

HALVED_EVERY = 20
LIMIT = 600
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class ZeroBasedSkill(Voting):
    """Prior: `coin` (2,), as in :mod:`consensus.one_coin`."""

    name: str = "zero-based-skill"
    version: str = "1"

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
        posterior = weighted_shares(layout, votes, skill)
        return self.counted(
            answers, form, posterior, iterations=len(residuals), converged=converged, residuals=tuple(residuals)
        )

    def weigh(self, statistics: Tensor, prior: Prior, form: Form) -> Tensor:
        return expected_skill(statistics, prior, form)


MODEL = ZeroBasedSkill()
