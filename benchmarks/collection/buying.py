"""Touchstone buys answers until its rule says stop."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from consensus import replay, stopping, tempering
from consensus.answers import Answers
from consensus.fit import Fit
from consensus.form import Form
from consensus.model import Model
from consensus.stopping import Rule, Status, Stop
from consensus.tempering import Tempering

FIRST_FIT = 100  # answers before the first fit
GROWTH = 1.25  # of the answers from one fit to the next
BATCH = 100  # answers between looks, and at most
SHARE = 10  # one for so many challenges
REMEMBERED = 5_000  # states that the tempering is learned from, the latest


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What was known at a fit."""

    fit: Fit
    confusion: Tensor  # (J, K, K) [true class, label]
    count: Tensor  # (I,) answers
    bought: Tensor  # (N,) bool


@dataclass(frozen=True, slots=True, eq=False)
class Bought:
    """The end of a collection."""

    posterior: Tensor  # (I, K) raw, of a fit to what was bought
    answers: Tensor  # (I,) how many were bought for each challenge
    stop: Stop
    tempering: Tempering


@dataclass(slots=True)
class Buyer:
    """Answers arrive in the given order; one that comes while its challenge is closed is not bought, nor comes again.

    Respondents' statistics are those of the latest fit, cold, to all that was bought; challenges are judged anew when
    answers to them came, all of them at a fit. At a fit the tempering is learned anew: from how well the fits before
    foretold the answers that came after, or, where there is some, on gold, all of whose prefixes are replayed. Closed
    challenges may open again.
    """

    model: Model
    answers: Answers
    form: Form
    rule: Rule
    posterior: Tensor = field(init=False)
    bought: Tensor = field(init=False)  # (N,) bool
    count: Tensor = field(init=False)  # (I,)
    open: Tensor = field(init=False)  # (I,) bool
    tempering: Tempering = field(default_factory=Tempering)
    states: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        a = self.answers
        self.posterior = torch.full((a.I, a.K), 1 / a.K, dtype=torch.float64)
        self.bought = torch.zeros(a.N, dtype=torch.bool)
        self.count = torch.zeros(a.I, dtype=torch.int64)
        self.open = torch.ones(a.I, dtype=torch.bool)

    def run(self, order: Tensor) -> Bought:
        """Buy from the answers at these places."""
        a = self.answers
        fitted, known = 0, None
        for batch in order.split(max(1, min(BATCH, a.I // SHARE))):
            wanted = batch[self.open[a.item[batch]]]
            self.bought[wanted] = True
            self.count += torch.bincount(a.item[wanted], minlength=a.I)
            total = int(self.bought.sum())
            if total >= max(FIRST_FIT, GROWTH * fitted):
                known, fitted = self._refit(order, known), total
            elif known is not None and len(wanted):
                self._look(a.item[wanted].unique(), known)
        self._refit(order, known)
        return Bought(self.posterior, self.count, self._stop(torch.arange(a.I)), self.tempering)

    def _refit(self, order: Tensor, before: Known | None) -> Known:
        fit = self.model.fit(_only(self.answers, self.bought), form=self.form)
        self.posterior = fit.posterior
        if self.answers.gold is not None:
            gold = replay.prefixes(
                self.model, _only(self.answers, order[self.bought[order]]), fit.statistics, fit.prior, form=self.form
            )
            self.tempering = tempering.learn(gold.posterior, gold.answers, gold.likelihood, gold.weight)
        elif before is not None:
            self.states.append(self._foretold(order, before))
            posterior, count, likelihood = (torch.cat(parts)[-REMEMBERED:] for parts in zip(*self.states, strict=True))
            self.tempering = tempering.learn(posterior, count, likelihood)
        self._judge(torch.arange(self.answers.I))
        confusion = self.model.reliability(fit.statistics, fit.prior, form=self.form).confusion
        return Known(fit, confusion, self.count.clone(), self.bought.clone())

    def _foretold(self, order: Tensor, before: Known) -> tuple[Tensor, Tensor, Tensor]:
        """The states before the first new answer to a challenge, and what was known of that answer then."""
        a = self.answers
        new = order[self.bought[order] & ~before.bought[order]].flip(0)
        new = new[before.count[a.item[new]] > 0]
        first = torch.full((a.I,), -1).scatter(0, a.item[new], new)
        first = first[first >= 0]
        item = a.item[first]
        likelihood = before.confusion[a.annotator[first], :, a.label[first]]
        return before.fit.posterior[item], before.count[item], likelihood

    def _look(self, items: Tensor, known: Known) -> None:
        a = self.answers
        touched = torch.zeros(a.I, dtype=torch.bool)
        touched[items] = True
        mine = (touched[a.item] & self.bought).nonzero().squeeze(1)
        annotators, annotator = a.annotator[mine].unique(return_inverse=True)
        item = torch.searchsorted(items, a.item[mine])
        part = Answers(item, annotator, a.label[mine], len(items), len(annotators), a.K)
        statistics = known.fit.statistics[annotators]
        self.posterior[items] = self.model.update(part, statistics, known.fit.prior, form=self.form)
        self._judge(items)

    def _judge(self, items: Tensor) -> None:
        self.open[items] = self._stop(items).status == Status.OPEN

    def _stop(self, items: Tensor) -> Stop:
        count = self.count[items]
        return stopping.stop(self.tempering.apply(self.posterior[items], count), count, self.rule)


def _only(answers: Answers, chosen: Tensor) -> Answers:
    """The chosen answers; items, annotators and classes keep their numbers."""
    a = answers
    return Answers(a.item[chosen], a.annotator[chosen], a.label[chosen], a.I, a.J, a.K, a.gold)
