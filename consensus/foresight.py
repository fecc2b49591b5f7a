"""A fit that has not seen everything: what it thinks of each item, and what the answers it did not see say.

A fit believes what its own answers made of its respondents, so it must not be judged by answers that it has seen. It is
made anew of a part of the answers, drawn by the numbers in them, which says nothing of when they came: what is found
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

SHARE = 0.6
"""Of the answers that the partial fit sees."""
SAMPLE = 20_000
"""Answers, about."""
_BITS = 24


def prefixes(model: Model, answers: Answers, *, form: Form) -> Prefixes:
    """One state for each item that is not gold and of whose answers the partial fit saw some but not all."""
    step = -(-answers.N // SAMPLE)
    if step > 1:
        answers = only(answers, answers.item % step == 0)
    seen = _draw(answers) < SHARE
    n = torch.bincount(answers.item[seen], minlength=answers.I)
    left = torch.bincount(answers.item[~seen], minlength=answers.I)
    chosen = (n > 0) & (left > 0)
    if answers.gold is not None:
        chosen &= answers.gold < 0
    size = int(chosen.sum())
    weight = torch.ones(size, dtype=torch.float64, device=answers.device)
    if not size:
        nothing = weight.new_zeros(0, answers.K)
        return Prefixes(nothing, n[chosen], nothing, weight)
    fit = model.fit(only(answers, seen), form=form)
    unseen = replace(only(answers, ~seen), I=answers.I + 1, gold=None)  # the last item has no answers: p(k)
    alone = model.update(unseen, fit.statistics, fit.prior, form=form)
    likelihood = (alone[:-1] / alone[-1].clamp(min=1 / answers.K**2))[chosen]
    return Prefixes(fit.posterior[chosen], n[chosen], likelihood / likelihood.amax(1, keepdim=True), weight)


def only(answers: Answers, chosen: Tensor) -> Answers:
    """The chosen (N,) answers; items, annotators and classes keep their numbers."""
    a = answers
    return replace(a, item=a.item[chosen], annotator=a.annotator[chosen], label=a.label[chosen])


def _draw(answers: Answers) -> Tensor:
    """(N,) in [0, 1), by what is answered by whom: the finaliser of splitmix64 (Steele, Lea & Flood 2014)."""
    x = (answers.item * answers.J + answers.annotator) * answers.K + answers.label
    for shift, odd in ((30, -4658895280553007687), (27, -7723592293110705685)):
        x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * odd
    return ((x >> (63 - _BITS)) & ((1 << _BITS) - 1)).to(torch.float64) / (1 << _BITS)
