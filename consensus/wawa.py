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

from torch import Tensor

from consensus.answers import Answers
from consensus.fit import Fit, leading
from consensus.form import Form, form_for
from consensus.layout import Layout, arrange
from consensus.prior import Prior
from consensus.statistics import coin, tally
from consensus.votes import shares
from consensus.voting import Voting, weighted_shares


@dataclass(frozen=True, slots=True)
class Wawa(Voting):
    """Prior: `coin` (2,), as in :mod:`consensus.one_coin`."""

    name: str = "wawa"
    version: str = "1"

    def fit(self, answers: Answers, *, form: Form | None = None) -> Fit:
        form = form or form_for(answers.K)
        layout = arrange(answers, Form.COIN)
        votes = shares(layout)
        posterior = weighted_shares(layout, votes, agreement(layout, votes))
        return self.counted(answers, form, posterior, iterations=1)

    def weigh(self, statistics: Tensor, prior: Prior, form: Form) -> Tensor:
        return expected_skill(statistics, prior, form)


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


MODEL = Wawa()
