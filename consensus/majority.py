"""Majority vote: each answer counts the same and ties are split."""

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


@dataclass(frozen=True, slots=True)
class Majority(Uncalibrated):
    """The posterior is the share of votes: uniform without answers, one-hot for gold.

    Statistics change nothing in it; respondents are rated by how often they side with the vote.
    """

    name: str = "majority"
    version: str = "1"

    def prior(self, K: int, form: Form) -> Prior:  # noqa: ARG002 - the same for both
        return _prior(Coin().pseudo_counts(K), K)

    def fit(self, answers: Answers, *, form: Form | None = None) -> Fit:
        form = form or form_for(answers.K)
        posterior = quantise(shares(arrange(answers, Form.COIN)))
        statistics = count(form, answers, posterior)
        prior = _prior(Coin().pseudo_counts(answers.K, coin(form, answers.K, statistics)), answers.K)
        return Fit(
            posterior=posterior,
            published=self.unclamped(answers, posterior, statistics, prior, form=form),
            statistics=statistics,
            prior=prior,
            objective=(),
            iterations=0,
            converged=True,
            model=self.name,
            version=self.version,
        )

    def update(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:  # noqa: ARG002
        return quantise(shares(arrange(answers, Form.COIN)))

    def account(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Account:  # noqa: ARG002
        return account.votes(answers, torch.ones_like(answers.item, dtype=torch.float64))

    def reliability(self, statistics: Tensor, prior: Prior, *, form: Form) -> Reliability:
        K = prior["classes"].numel()
        return Coin().reliability(coin(form, K, statistics), prior)


def _prior(pseudo_counts: dict[str, Tensor], K: int) -> Prior:
    return Prior({**pseudo_counts, "classes": torch.full((K,), 1 / K, dtype=torch.float64)})


MODEL = Majority()
