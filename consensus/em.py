"""Expectation-maximisation: one E-step and one M-step, used by whole-project fits and live updates alike.

The observed answers x, classes z, class shares π and annotators' parameters θ are jointly

    p(x, z, π, θ) = p(π) p(θ) Π_i π[z_i] Π_n p(label_n | z of item_n, θ of annotator_n)

and EM climbs log p(x, π, θ), z summed out (Dempster, Laird & Rubin 1977; MAP form). The priors keep every probability
away from zero.

p(π) is Dirichlet, with the pseudo-items of :mod:`consensus.anchor`.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from consensus import account
from consensus.account import Account
from consensus.anchor import anchor
from consensus.answers import Answers
from consensus.digits import LOGS, Table
from consensus.distributed import ALONE, Ranks
from consensus.expectation import begin, expect, normalise
from consensus.fit import Fit
from consensus.form import Form, form_for
from consensus.layout import Items, Layout, arrange, listed
from consensus.memory import Plan, plan
from consensus.prior import Prior
from consensus.reliability import Reliability
from consensus.statistics import GRID, by_label, coin, count, tally, width
from consensus.tables import heard, terms
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
        """The M-step, on statistics (J, width) or as tables (J, K, K).

        Returns (J, R, L) log p(label | true class) as in :mod:`consensus.tables`, and () log p(θ) + const.
        """

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
            return self._fit(own, arrange(own, self._rows(form).form, way.finer), answers.I, form, way, ranks)

    def _fit(self, own: Answers, layout: Layout, I: int, form: Form, way: Plan, ranks: Ranks) -> Fit:
        rows, K = self._rows(form), own.K
        table, blocks, counted = begin(layout, way.dtype)
        counted = _in_order(ranks.gather(counted, I, K, blocks=True))
        pseudo_items = anchor(counted, rows.form)
        classes = counted[:K] + counted[K : 2 * K]
        tallied = _room(layout)
        statistics = _tally(layout, table, tallied, ranks)
        pseudo_counts = rows.pseudo_counts(K, statistics.flatten(1))
        objective: list[float] = []
        converged = False
        while not converged and len(objective) < self.limit:
            bounds = []
            for left in reversed(range(min(BLOCK, self.limit - len(objective)))):
                weights = pseudo_items + classes
                prior = Prior({**pseudo_counts, "classes": weights / weights.sum()})
                log_classes = prior["classes"].log()
                said, log_prior = _maximise(rows, statistics, prior, way.dtype)
                sums = ranks.gather(expect(blocks, said, log_classes, watch=not left), I, K, blocks=True)
                del said
                classes, (likelihood, _) = _in_order(sums).split([K, 2])
                bounds.append(likelihood + pseudo_items @ log_classes + log_prior)
                statistics = _tally(layout, table, tallied, ranks)
            objective += torch.stack(bounds).tolist()
            converged = float(sums[:, -1].amax()) <= TOLERANCE
        posterior = ranks.gather(table.used_up().view(own.I, K), I, K)
        mine = posterior[ranks.span(I, K)]
        if way.dtype != torch.float64 or rows.form != form:
            statistics = ranks.total(tally(layout, mine) if rows.form == form else count(form, own, mine))
        statistics = statistics.flatten(1)
        del layout, blocks, table, tallied
        published = posterior
        if own.gold is not None:
            published = ranks.gather(self.unclamped(own, mine, statistics, prior, form=form), I, K)
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
        layout = listed(answers, rows.form)
        joint = clamp(_joint(layout, self._said(rows, statistics, prior, form), prior), layout.gold)
        normalise(joint)
        return joint.mul_(GRID)

    def account(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Account:
        rows = self._rows(form)
        said = self._said(rows, statistics, prior, form)
        return account.logs(lambda some: _joint(listed(some, rows.form), said, prior), answers)

    def _said(self, rows: Rows, statistics: Tensor, prior: Prior, form: Form) -> Tensor | Table:
        K = prior["classes"].numel()
        log_rows, _ = rows.maximise(statistics if rows.form == form else coin(form, K, statistics), prior)
        return Table.of(terms(rows.form, K, log_rows), LOGS)

    def reliability(self, statistics: Tensor, prior: Prior, *, form: Form) -> Reliability:
        rows = self._rows(form)
        K = prior["classes"].numel()
        return rows.reliability(statistics if rows.form == form else coin(form, K, statistics), prior)

    def _rows(self, form: Form) -> Rows:
        return self.full if form == Form.FULL else self.coin


def _maximise(rows: Rows, statistics: Tensor, prior: Prior, dtype: torch.dtype) -> tuple[Table, Tensor]:
    """The terms of log p(label | class), as `rows.maximise` has it, and () log p(θ); some annotators at a time."""
    J, K = len(statistics), prior["classes"].numel()
    lines, columns = (K, K) if rows.form == Form.FULL else (1, 2)  # of an annotator
    said = Table.empty(J * lines, columns, LOGS, dtype, statistics.device)
    height = -(-ANNOTATORS // width(rows.form, K))
    log_priors = statistics.new_zeros(-(-J // height))

    def maximise(number: int) -> None:
        known = statistics[number * height : (number + 1) * height]
        log_rows, log_priors[number] = rows.maximise(known, prior)
        part = terms(rows.form, K, log_rows)
        said.rows(number * height * lines, len(part)).put(part.mul_(1 / LOGS.step))

    each(maximise, range(len(log_priors)), statistics.device)
    return said, _in_order(log_priors[:, None]).squeeze()


def _room(layout: Layout) -> Tensor:
    """Memory for the counts of every iteration: (J, K, K), or none for COIN, whose counts are few."""
    shape = (layout.J, layout.K, layout.K) if layout.form == Form.FULL else (0,)
    return torch.empty(shape, dtype=torch.float64, device=layout.counts.index.device)


def _tally(layout: Layout, table: Table, room: Tensor, ranks: Ranks) -> Tensor:
    """The counts of all ranks, (J, width), or for FULL (J, K, K), a view of memory in which labels come first.

    The M-step keeps that order, which is the one that the next E-step reads.
    """
    if layout.form == Form.COIN:
        return ranks.total(tally(layout, table))
    return ranks.total(by_label(layout, table, room)).transpose(1, 2)


def _in_order(sums: Tensor) -> Tensor:
    """(B, C) -> (C,), the blocks' sums added in their order."""
    return pad(sums, (0, 0, 1, 0)).cumsum(0)[-1]


def _joint(layout: Items, said: Tensor | Table, prior: Prior) -> Tensor:
    """(I, K) log p(class) + log p(answers to the item | class)."""
    return heard(layout, said).add_(prior["classes"].log())
