"""Expectation-maximisation: one E-step and one M-step, used by whole-project fits and live updates alike.

The observed answers x, classes z, class shares π and annotators' parameters θ are jointly

    p(x, z, π, θ) = p(π) p(θ) Π_i π[z_i] Π_n p(label_n | z of item_n, θ of annotator_n)

and EM climbs log p(x, π, θ), z summed out (Dempster, Laird & Rubin 1977; MAP form). The priors keep every probability
away from zero.

p(π) is Dirichlet with as many pseudo-items as there are answered items, shared out as the votes are: half of π is the
majority's. With one or two answers to an item nothing else stops EM from moving all items into one class.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.fit import Fit
from consensus.form import Form, form_for
from consensus.layout import Layout, arrange
from consensus.prior import Prior
from consensus.reliability import Reliability
from consensus.segment import block_sum
from consensus.statistics import coin, count, quantise, tally
from consensus.votes import clamp, shares

BLOCK = 10
LIMIT = 500
TOLERANCE = 1e-6


class Rows(Protocol):
    """How annotators err: p(label | true class) of each, as the mean of a Dirichlet prior and the expected counts."""

    @property
    def form(self) -> Form:
        """The statistics it works on."""

    def pseudo_counts(self, K: int, statistics: Tensor | None = None) -> dict[str, Tensor]:
        """The Dirichlet prior that annotators share, for K classes; shaped by their statistics (J, width) if given."""

    def evidence(self, layout: Layout, statistics: Tensor, prior: Prior) -> Tensor:
        """(I, K) log p(answers to the item | true class)."""

    def log_prior(self, statistics: Tensor, prior: Prior) -> Tensor:
        """() log p(θ) up to a constant."""

    def reliability(self, statistics: Tensor, prior: Prior) -> Reliability: ...


@dataclass(frozen=True, slots=True)
class EM:
    """A model: a name and how annotators err, for either form of statistics."""

    name: str
    version: str
    full: Rows
    coin: Rows

    def prior(self, K: int, form: Form) -> Prior:
        classes = torch.full((K,), 1 / K, dtype=torch.float64)
        return Prior({**self._rows(form).pseudo_counts(K), "classes": classes})

    def fit(self, answers: Answers, *, form: Form | None = None) -> Fit:
        form = form or form_for(answers.K)
        rows = self._rows(form)
        layout = arrange(answers, rows.form)
        answered = (layout.votes.sum(1, keepdim=True) > 0).to(torch.float64)  # (I, 1)
        posterior = shares(layout)
        anchor = block_sum(posterior * answered) + 1 / answers.K
        pseudo_counts = rows.pseudo_counts(answers.K, tally(layout, posterior))
        objective: list[float] = []
        converged = False
        while not converged and len(objective) < LIMIT:
            bounds = []
            for _ in range(BLOCK):
                previous, statistics = posterior, tally(layout, posterior)
                classes = anchor + block_sum(posterior * answered)
                prior = Prior({**pseudo_counts, "classes": classes / classes.sum()})
                joint = log_joint(rows, layout, statistics, prior)
                posterior = joint.softmax(1)
                likelihood = block_sum(joint.logsumexp(1, keepdim=True) * answered).squeeze()
                bounds.append(likelihood + anchor @ prior["classes"].log() + rows.log_prior(statistics, prior))
            objective += torch.stack(bounds).tolist()
            converged = torch.allclose(posterior, previous, rtol=0, atol=TOLERANCE)
        posterior = quantise(posterior)
        return Fit(
            posterior=posterior,
            statistics=count(form, answers, posterior),
            prior=prior,
            objective=tuple(objective),
            iterations=len(objective),
            converged=converged,
            model=self.name,
            version=self.version,
        )

    def update(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        rows = self._rows(form)
        known = statistics if rows.form == form else coin(form, answers.K, statistics)
        return quantise(log_joint(rows, arrange(answers, rows.form), known, prior).softmax(1))

    def reliability(self, statistics: Tensor, prior: Prior, *, form: Form) -> Reliability:
        rows = self._rows(form)
        K = prior["classes"].numel()
        return rows.reliability(statistics if rows.form == form else coin(form, K, statistics), prior)

    def _rows(self, form: Form) -> Rows:
        return self.full if form == Form.FULL else self.coin


def log_joint(rows: Rows, layout: Layout, statistics: Tensor, prior: Prior) -> Tensor:
    """The E-step before it is normalised: (I, K) log p(answers to the item, true class), -inf where gold denies it."""
    joint = prior["classes"].log() + rows.evidence(layout, statistics, prior)
    return clamp(joint, layout.gold)
