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
from torch.nn.functional import pad

from consensus import account
from consensus.account import Account
from consensus.answers import Answers
from consensus.distributed import ALONE, Ranks
from consensus.expectation import begin, expect, normalise
from consensus.fit import Fit
from consensus.form import Form, form_for
from consensus.layout import arrange
from consensus.memory import Plan, plan
from consensus.prior import Prior
from consensus.reliability import Reliability
from consensus.statistics import coin, count, tally
from consensus.tables import evidence
from consensus.threads import crew, each
from consensus.uncalibrated import Uncalibrated
from consensus.votes import clamp

BLOCK = 10
ANNOTATORS = 2**16  # numbers in the statistics of those whose rows are fitted at a time
LIMIT = 500
TOLERANCE = 1e-6


class Rows(Protocol):
    """How annotators err: p(label | true class) of each, as the mean of a Dirichlet prior and the expected counts."""

    @property
    def form(self) -> Form:
        """The statistics it works on."""

    def pseudo_counts(self, K: int, statistics: Tensor | None = None) -> dict[str, Tensor]:
        """The Dirichlet prior that annotators share, for K classes; shaped by their statistics (J, width) if given."""

    def maximise(self, statistics: Tensor, prior: Prior) -> tuple[Tensor, Tensor]:
        """The M-step: (J, R, L) log p(label | true class) as in :mod:`consensus.tables`, and () log p(θ) + const."""

    def reliability(self, statistics: Tensor, prior: Prior) -> Reliability: ...


@dataclass(frozen=True, slots=True)
class EM(Uncalibrated):
    """A model: a name and how annotators err, for either form of statistics."""

    name: str
    version: str
    full: Rows
    coin: Rows
    limit: int = LIMIT

    def prior(self, K: int, form: Form) -> Prior:
        classes = torch.full((K,), 1 / K, dtype=torch.float64)
        return Prior({**self._rows(form).pseudo_counts(K), "classes": classes})

    def fit(
        self,
        answers: Answers,
        *,
        form: Form | None = None,
        max_memory: int | None = None,
        dtype: torch.dtype | None = None,
        ranks: Ranks = ALONE,
    ) -> Fit:
        """As :class:`consensus.model.Model` has it, within `max_memory` bytes, in `dtype`, shared among `ranks`.

        Every rank returns the same fit. In float32 posteriors are good to about 1e-6, and ranks may differ by as much.
        """
        form = form or form_for(answers.K)
        own = ranks.share(answers)
        way = plan(own.N, own.I, own.J, own.K, self._rows(form).form, max_memory=max_memory, dtype=dtype)
        with crew(answers.device):
            return self._fit(own, answers.I, form, way, ranks)

    def _fit(self, own: Answers, I: int, form: Form, way: Plan, ranks: Ranks) -> Fit:
        rows, K = self._rows(form), own.K
        layout = arrange(own, rows.form, way.finer)
        posterior = torch.empty(own.I, K, dtype=way.dtype, device=own.device)
        blocks, sums = begin(layout, posterior)
        classes = _in_order(ranks.gather(sums, I, K, blocks=True))
        statistics = ranks.total(tally(layout, posterior))
        anchor = classes + 1 / K
        pseudo_counts = rows.pseudo_counts(K, statistics)
        objective: list[float] = []
        converged = False
        while not converged and len(objective) < self.limit:
            bounds = []
            for left in reversed(range(min(BLOCK, self.limit - len(objective)))):
                weights = anchor + classes
                prior = Prior({**pseudo_counts, "classes": weights / weights.sum()})
                log_classes = prior["classes"].log()
                log_rows, log_prior = _maximise(rows, statistics, prior, way.dtype)
                sums = ranks.gather(expect(blocks, log_rows, log_classes, watch=not left), I, K, blocks=True)
                del log_rows
                classes, (likelihood, _) = _in_order(sums).split([K, 2])
                bounds.append(likelihood + anchor @ log_classes + log_prior)
                del statistics
                statistics = ranks.total(tally(layout, posterior))
            objective += torch.stack(bounds).tolist()
            converged = float(sums[:, -1].amax()) <= TOLERANCE
        del layout, blocks
        posterior = ranks.gather(posterior.to(torch.float64), I, K)
        if way.dtype != torch.float64 or rows.form != form:
            statistics = ranks.total(count(form, own, posterior[ranks.span(I, K)]))
        published = posterior
        if own.gold is not None:
            mine = self.unclamped(own, posterior[ranks.span(I, K)], statistics, prior, form=form)
            published = ranks.gather(mine, I, K)
        return Fit(
            posterior=posterior,
            published=published,
            statistics=statistics,
            prior=prior,
            objective=tuple(objective),
            iterations=len(objective),
            converged=converged,
            model=self.name,
            version=self.version,
            dtype=way.dtype,
        )

    def update(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        rows = self._rows(form)
        known = statistics if rows.form == form else coin(form, answers.K, statistics)
        log_rows, _ = rows.maximise(known, prior)
        layout = arrange(answers, rows.form)
        joint = clamp(prior["classes"].log() + evidence(layout, log_rows), layout.gold)
        posterior = torch.empty_like(joint)
        normalise(joint, out=posterior)
        return posterior

    def account(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Account:
        rows = self._rows(form)
        known = statistics if rows.form == form else coin(form, answers.K, statistics)
        log_rows, _ = rows.maximise(known, prior)
        return account.logs(lambda some: prior["classes"].log() + evidence(arrange(some, rows.form), log_rows), answers)

    def reliability(self, statistics: Tensor, prior: Prior, *, form: Form) -> Reliability:
        rows = self._rows(form)
        K = prior["classes"].numel()
        return rows.reliability(statistics if rows.form == form else coin(form, K, statistics), prior)

    def _rows(self, form: Form) -> Rows:
        return self.full if form == Form.FULL else self.coin


def _maximise(rows: Rows, statistics: Tensor, prior: Prior, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """As `rows.maximise`, some annotators at a time; log p(label | class) in `dtype`.

    It is laid out as [annotator, label, class]: that is how evidence is read.
    """
    J, K = len(statistics), prior["classes"].numel()
    size = (K, K) if rows.form == Form.FULL else (2, 1)
    log_rows = statistics.new_empty(J, *size, dtype=dtype).transpose(1, 2)
    height = -(-ANNOTATORS // statistics.shape[1])
    log_priors = statistics.new_zeros(-(-J // height))

    def maximise(part: tuple[Tensor, Tensor, Tensor]) -> None:
        known, log_row, log_prior = part
        maximised = rows.maximise(known, prior)
        log_row.copy_(maximised[0])
        log_prior.copy_(maximised[1])

    each(maximise, zip(statistics.split(height), log_rows.split(height), log_priors, strict=bool(J)), statistics.device)
    return log_rows, _in_order(log_priors[:, None]).squeeze()


def _in_order(sums: Tensor) -> Tensor:
    """(B, C) -> (C,), the blocks' sums added in their order."""
    return pad(sums, (0, 0, 1, 0)).cumsum(0)[-1]
