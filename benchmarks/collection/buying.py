"""Touchstone buys answers until its rule says stop."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from consensus import caution
from consensus.answers import Answers
from consensus.caution import Caution
from consensus.foresight import only
from consensus.form import Form
from consensus.model import Model
from consensus.prior import Prior
from consensus.statistics import count
from consensus.stopping import Rule, Status, Stop

GROWTH = 1.2  # of the answers from one refit to the next


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What is believed after a round."""

    posterior: Tensor  # (I, K) raw
    statistics: Tensor
    prior: Prior
    caution: Caution
    fitted: int  # answers at the latest refit


@dataclass(frozen=True, slots=True, eq=False)
class Bought:
    """The end of a collection."""

    posterior: Tensor  # (I, K) raw, of a fit to what was bought
    answers: Tensor  # (I,) how many were bought for each challenge
    stop: Stop
    caution: Caution


@dataclass(slots=True)
class Buyer:
    """In each round every open challenge gets its next answer; gold has all of its answers from the start.

    Then the project is refitted, cold, if its answers grew by a fifth, and caution learned with it. Otherwise all
    posteriors and respondents' statistics are brought up to date once, as live grading and revisits do. Closed
    challenges may open again. What was believed of the same purchases is not computed twice, whatever the rule.
    """

    model: Model
    answers: Answers
    form: Form
    place: Tensor  # (N,) of each answer among those to its challenge, in the order of their arrival
    known: dict[bytes, State] = field(default_factory=dict)

    def run(self, rule: Rule) -> Bought:
        a = self.answers
        supply = torch.bincount(a.item, minlength=a.I)
        gold = torch.zeros(a.I, dtype=torch.bool) if a.gold is None else a.gold >= 0
        bought = torch.where(gold, supply, 0)
        open_ = ~gold & (supply > 0)
        state: State | None = None
        while bool(open_.any()):
            bought = bought + open_
            state = self._look(bought, state)
            status = state.caution.stop(state.posterior, bought, rule).status
            open_ = ~gold & (bought < supply) & (status == Status.OPEN)
        state = self._look(bought, state, final=True)
        return Bought(state.posterior, bought, state.caution.stop(state.posterior, bought, rule), state.caution)

    def _look(self, bought: Tensor, before: State | None, *, final: bool = False) -> State:
        key = bought.numpy().tobytes()
        found = self.known.get(key)
        if found is None or (final and found.fitted < int(bought.sum())):
            found = self._believe(only(self.answers, self.place < bought[self.answers.item]), before, final)
            self.known[key] = found
        return found

    def _believe(self, answers: Answers, before: State | None, final: bool) -> State:
        if before is None or final or GROWTH * before.fitted <= answers.N:
            fit = self.model.fit(answers, form=self.form)
            learned = caution.learn(self.model, answers, fit, form=self.form)
            return State(fit.posterior, fit.statistics, fit.prior, learned, answers.N)
        posterior = self.model.update(answers, before.statistics, before.prior, form=self.form)
        statistics = count(self.form, answers, posterior)
        return State(posterior, statistics, before.prior, before.caution, before.fitted)
