"""Wawa, worker agreement with aggregate: a vote in which each weighs as much as they side with the majority.

The "inter-annotator agreement" weighting of commercial crowdsourcing platforms, as crowd-kit implements it:

    v = shares of the votes,  a_j = Σ_{n of j} [label_n leads the votes of item_n] / n_j,  ties counted by their share
    q_ik ∝ Σ_{n of i, label_n = k} a_{j_n}

One pass and no model: no bound, nothing to converge, and a share of weights is not a probability. An item all of whose
respondents have weight zero keeps its votes.

Live, a_j = (c_j + A) / (n_j + A + B), c_j the expected number right under the stored posteriors: softer than agreement
with what leads, so that weights differ less than in a fit, and A, B the population's, worth four answers together.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus import account
from consensus.account import Account
from consensus.answers import Answers
from consensus.fit import Fit, leading
from consensus.form import Form, form_for
from consensus.layout import Layout, arrange
from consensus.one_coin import Coin
from consensus.prior import Prior
from consensus.reliability import Reliability
from consensus.statistics import coin, count, quantise, tally
from consensus.uncalibrated import Uncalibrated
from consensus.votes import shares


@dataclass(frozen=True, slots=True)
class Wawa(Uncalibrated):
    """Prior: `coin` (2,), as in :mod:`consensus.one_coin`."""

    name: str = "wawa"
    version: str = "1"

    def prior(self, K: int, form: Form) -> Prior:  # noqa: ARG002 - the same for both
        return even_prior(K)

    def fit(self, answers: Answers, *, form: Form | None = None) -> Fit:
        form = form or form_for(answers.K)
        layout = arrange(answers, Form.COIN)
        votes = shares(layout)
        posterior = quantise(weighted_shares(layout, votes, agreement(layout, votes)))
        statistics = count(form, answers, posterior)
        prior = even_prior(answers.K, coin(form, answers.K, statistics))
        return Fit(
            posterior=posterior,
            published=self.unclamped(answers, posterior, statistics, prior, form=form),
            statistics=statistics,
            prior=prior,
            objective=(),
            iterations=1,
            converged=True,
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


def even_prior(K: int, statistics: Tensor | None = None) -> Prior:
    """The population's `coin` from statistics (J, 1 + K), if there are any, and even `classes`."""
    return Prior({**Coin().pseudo_counts(K, statistics), "classes": torch.full((K,), 1 / K, dtype=torch.float64)})


def agreement(layout: Layout, posterior: Tensor) -> Tensor:
    """(J,) how often an annotator's answers, in form COIN, lead (I, K); by its share where several do."""
    lead = leading(posterior).to(posterior.dtype)
    known = tally(layout, lead / lead.sum(1, keepdim=True))
    return known[:, 0] / known[:, 1:].sum(1).clamp(min=1)


def expected_skill(statistics: Tensor, prior: Prior, form: Form) -> Tensor:
    """(J,) the posterior mean of the probability of being right."""
    known = coin(form, prior["classes"].numel(), statistics)
    A, B = prior["coin"]
    return (known[:, 0] + A) / (known[:, 1:].sum(1) + A + B)


def weighted_shares(layout: Layout, votes: Tensor, weight: Tensor) -> Tensor:
    """(I, K) the shares of classes in the weights (J,) of an item's annotators, for `layout` in form COIN.

    `votes` (I, K), the unweighted shares, stand for gold and where all weights are zero.
    """
    weighed = layout.evidence.sum(weight[:, None]).reshape(layout.I, layout.K)
    total = weighed.sum(1, keepdim=True)
    known = total <= 0 if layout.gold is None else (total <= 0) | (layout.gold[:, None] >= 0)
    return torch.where(known, votes, weighed / torch.where(total > 0, total, 1))


MODEL = Wawa()
