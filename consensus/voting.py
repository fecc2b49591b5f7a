"""Votes that weigh: what majority, Wawa, zero-based skill and KOS have in common.

The posterior is a share of the votes on an item, each with a weight of its author's. Whatever a fit finds the weights
by, respondents are rated as coins (:mod:`consensus.one_coin`), and live the weights follow from their expected counts.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from consensus import account
from consensus.account import Account
from consensus.answers import Answers
from consensus.fit import Fit
from consensus.form import Form
from consensus.layout import Layout, arrange
from consensus.one_coin import Coin
from consensus.prior import Prior
from consensus.reliability import Reliability
from consensus.statistics import coin, count, quantise
from consensus.uncalibrated import Uncalibrated
from consensus.votes import shares


class Voting(Uncalibrated):
    """Prior: `coin` (2,), as in :mod:`consensus.one_coin`."""

    __slots__ = ()

    @abstractmethod
    def weigh(self, statistics: Tensor, prior: Prior, form: Form) -> Tensor:
        """(J,) what a vote of each annotator weighs live."""

    def prior(self, K: int, form: Form) -> Prior:  # noqa: ARG002 - the same for both
        return even_prior(K)

    def update(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        layout = arrange(answers, Form.COIN)
        return quantise(weighted_shares(layout, shares(layout), self.weigh(statistics, prior, form)))

    def account(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Account:
        return account.votes(answers, self.weigh(statistics, prior, form)[answers.annotator])

    def reliability(self, statistics: Tensor, prior: Prior, *, form: Form) -> Reliability:
        return Coin().reliability(coin(form, prior["classes"].numel(), statistics), prior)

    def counted(
        self,
        answers: Answers,
        form: Form,
        posterior: Tensor,
        *,
        iterations: int,
        converged: bool = True,
        residuals: tuple[float, ...] = (),
    ) -> Fit:
        """The fit that found this posterior (I, K): statistics are counted from it, and the population from them."""
        posterior = quantise(posterior)
        statistics = count(form, answers, posterior)
        prior = even_prior(answers.K, coin(form, answers.K, statistics))
        return self.fitted(
            answers, form, posterior, statistics, prior, iterations=iterations, converged=converged, residuals=residuals
        )


def even_prior(K: int, statistics: Tensor | None = None) -> Prior:
    """The population's `coin` from statistics (J, 1 + K), if there are any, and even `classes`."""
    return Prior({**Coin().pseudo_counts(K, statistics), "classes": torch.full((K,), 1 / K, dtype=torch.float64)})


def weighted_shares(layout: Layout, votes: Tensor, weight: Tensor) -> Tensor:
    """(I, K) the shares of classes in the weights (J,) of an item's annotators, for `layout` in form COIN.

    `votes` (I, K), the unweighted shares, stand for gold and where all weights are zero.
    """
    weighed = layout.evidence.sum(weight[:, None]).reshape(layout.I, layout.K)
    total = weighed.sum(1, keepdim=True)
    known = total <= 0 if layout.gold is None else (total <= 0) | (layout.gold[:, None] >= 0)
    return torch.where(known, votes, weighed / torch.where(total > 0, total, 1))
