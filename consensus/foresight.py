"""Fits that have not seen everything: what they thought of each item, and what the answers they did not see say.

A fit believes what its own answers made of its respondents, so it must not be judged by answers that it has seen. It is
fitted anew to a part of the answers, drawn by the numbers in them, which says nothing of when they came: what is found
depends on the set of answers alone. Given the class k of an item, the others have the probability

    w_mk ∝ p(k | these answers alone) / p(k)

by what the partial fit knows of their annotators. It knows less of them than the whole fit does, so that what is
learned here errs towards doubt. Of a large project a sample of the items will do.
"""

from dataclasses import replace

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.form import Form
from consensus.model import Model
from consensus.replay import Prefixes

SHARES = (0.5, 0.75)
"""Of the answers that the partial fits see."""
SAMPLE = 20_000
"""Answers, about."""
_BITS = 24


def prefixes(model: Model, answers: Answers, *, form: Form) -> Prefixes:
    """One state for each item, not gold, and partial fit that saw some of its answers but not all."""
    step = -(-answers.N // SAMPLE)
    some = answers if step <= 1 else only(answers, answers.item % step == 0)
    if some.N == 0:
        nothing = torch.zeros(0, answers.K, dtype=torch.float64, device=answers.device)
        return Prefixes(nothing, some.item, nothing, nothing.sum(1))
    drawn = _draw(some)
    parts = [_states(model, some, drawn < share, form) for share in SHARES]
    return Prefixes(*(torch.cat([getattr(part, name) for part in parts]) for name in Prefixes.__slots__))


def only(answers: Answers, chosen: Tensor) -> Answers:
    """The chosen (N,) answers; items, annotators and classes keep their numbers."""
    a = answers
    return replace(a, item=a.item[chosen], annotator=a.annotator[chosen], label=a.label[chosen])


def _states(model: Model, answers: Answers, seen: Tensor, form: Form) -> Prefixes:
    I, K = answers.I, answers.K
    fit = model.fit(only(answers, seen), form=form)
    n = torch.bincount(answers.item[seen], minlength=I)
    left = torch.bincount(answers.item[~seen], minlength=I)
    open_ = (n > 0) & (left > 0)
    if answers.gold is not None:
        open_ &= answers.gold < 0
    unseen = replace(only(answers, ~seen), I=I + 1, gold=None)  # the last item has no answers: p(k)
    alone = model.update(unseen, fit.statistics, fit.prior, form=form)
    likelihood = alone[:I] / alone[I].clamp(min=1 / K**2)
    likelihood = (likelihood / likelihood.amax(1, keepdim=True))[open_]
    weight = torch.full((len(likelihood),), 1 / len(SHARES), dtype=torch.float64, device=answers.device)
    return Prefixes(fit.posterior[open_], n[open_], likelihood, weight)


def _draw(answers: Answers) -> Tensor:
    """(N,) in [0, 1), by what is answered by whom: the finaliser of splitmix64 (Steele, Lea & Flood 2014)."""
    x = (answers.item * answers.J + answers.annotator) * answers.K + answers.label
    for shift, odd in ((30, -4658895280553007687), (27, -7723592293110705685)):
        x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * odd
    return ((x >> (63 - _BITS)) & ((1 << _BITS) - 1)).to(torch.float64) / (1 << _BITS)
