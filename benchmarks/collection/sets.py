"""Replays of public data sets."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from benchmarks.collection import rivals
from benchmarks.collection.buying import Bought, Buyer
from benchmarks.collection.curves import Point, saved
from benchmarks.collection.rivals import Arrivals
from benchmarks.consensus.contender import answers_of
from benchmarks.consensus.datasets import Arrays
from consensus import registry
from consensus.answers import Answers
from consensus.form import Form, form_for
from consensus.model import Model
from consensus.scores import score
from consensus.stopping import Rule, Status

ENOUGH = 100  # truths
EACH = 5  # answers to a challenge
GOLD = 0.1  # of the challenges with truth,
LEAST_GOLD = 20  # and at least
TARGETS = (0.45, 0.36, 0.28, 0.2, 0.14, 0.09, 0.05, 0.025, 0.01)
QUICK_TARGETS = (0.35, 0.15, 0.05)
KNOWLEDGE = ("with_gold", "without_gold")  # of the tempering
STATED = 0.05  # the target at which the bound is looked at
NUMBERS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40)
FITTED_NUMBERS = (1, 2, 3, 5, 7, 10, 15, 20, 30)
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999)

Scored = tuple[Tensor, Tensor]  # (I,) answers used, (I, K) scores
Curves = dict[str, list[Point]]


@dataclass(frozen=True, eq=False)
class Replay:
    """One data set, its answers in one random order, its gold drawn at random."""

    answers: Answers
    truth: Tensor  # (I,) of the challenges that count, -1 elsewhere
    gold: Tensor  # (I,) of the gold, -1 elsewhere
    order: Tensor  # (N,)
    form: Form

    @classmethod
    def of(cls, arrays: Arrays, seed: int) -> "Replay":
        answers, truth = answers_of(arrays), torch.from_numpy(arrays.truth)
        random = torch.Generator().manual_seed(seed)
        order = torch.randperm(answers.N, generator=random)
        known = (truth >= 0).nonzero().squeeze(1)
        chosen = known[torch.randperm(len(known), generator=random)[: max(LEAST_GOLD, int(GOLD * len(known)))]]
        gold = torch.full_like(truth, -1).index_put_((chosen,), truth[chosen])
        form = form_for(answers.K) if arrays.shared else Form.COIN
        return cls(answers, truth.where(gold < 0, -1), gold, order, form)

    def point(self, setting: float, found: Scored) -> Point:
        """Answers to all challenges but gold; the error of those with truth, ties split."""
        used, scores = found
        return Point(setting, float(used[self.gold < 0].double().mean()), 1 - score(scores, self.truth).accuracy)

    @cached_property
    def arrivals(self) -> Arrivals:
        return Arrivals.of(self.answers, self.order)

    def buyer(self, model: Model, *, gold: bool) -> Buyer:
        """With gold, its answers are there first, as for the rivals; each other challenge's come as they do to them."""
        a = replace(self.arrivals.answers, gold=self.gold if gold else None)
        return Buyer(model, a, self.form, self.arrivals.place)

    def rivals(self, model: Model) -> Curves:
        arrivals, gold = self.arrivals, self._gold_answers()
        most = int(arrivals.place.max()) + 1
        numbers = [number for number in NUMBERS if number <= most]
        curves = {
            "fixed_n": [self.point(n, rivals.fixed(arrivals, n)) for n in numbers],
            "fixed_n_touchstone": [
                self.point(n, self._fitted(model, arrivals, n)) for n in FITTED_NUMBERS if n <= most
            ],
            "first_n_agree": [self.point(n, rivals.agreeing(arrivals, n)) for n in numbers],
            "dynamic_overlap": [self.point(t, rivals.dynamic_overlap(arrivals, gold, t)) for t in THRESHOLDS],
        }
        if self.answers.K == 2:
            curves["swap"] = [self.point(t, rivals.swap(arrivals, gold, t)) for t in THRESHOLDS]
        return curves

    def _gold_answers(self) -> Answers:
        a = self.answers
        mine = self.gold[a.item] >= 0
        return Answers(a.item[mine], a.annotator[mine], a.label[mine], a.I, a.J, a.K, self.gold)

    def _fitted(self, model: Model, arrivals: Arrivals, number: int) -> Scored:
        """So many answers to each, by our own model: what the rule alone is worth."""
        a = arrivals.answers
        first = (arrivals.place < number) | (self.gold[a.item] >= 0)
        some = Answers(a.item[first], a.annotator[first], a.label[first], a.I, a.J, a.K, self.gold)
        return torch.bincount(some.item, minlength=a.I), model.fit(some, form=self.form).posterior


def suitable(sets: Iterable[Arrays]) -> list[Arrays]:
    """Those with enough truth and enough answers to a challenge for a rule to choose from."""
    return [
        each for each in sets if (each.truth >= 0).sum() >= ENOUGH and len(each.item) >= EACH * each.shape[0] * 0.99
    ]


def run(arrays: Arrays, name: str, orders: int, quick: bool) -> tuple[dict[str, Any], Curves]:
    """The figures of one set under the model of this name, and the curve of each method, averaged over the orders."""
    model = registry.get(name)
    targets = QUICK_TARGETS if quick else TARGETS
    found: list[Curves] = []
    bounds: dict[str, list[dict[str, float]]] = {name: [] for name in KNOWLEDGE}
    for seed in range(orders):
        replay = Replay.of(arrays, seed)
        curves = replay.rivals(model)
        curves["touchstone"] = []
        crowd = model.fit(replay.answers, form=replay.form).answer
        buyer = replay.buyer(model, gold=True)
        for target in targets:
            bought = buyer.run(Rule(target=target))
            curves["touchstone"].append(replay.point(target, (bought.answers, bought.posterior)))
            if target == STATED:
                bounds["with_gold"].append(_bound(replay, bought, crowd))
        alone = replay.buyer(model, gold=False).run(Rule(target=STATED))
        bounds["without_gold"].append(_bound(replay, alone, crowd))
        found.append(curves)
    mean = {
        name: [
            Point(points[0].setting, fmean(p.answers for p in points), fmean(p.error for p in points))
            for points in zip(*(curves[name] for curves in found), strict=True)
        ]
        for name in found[0]
    }
    figures = {
        "answers": len(arrays.item) / arrays.shape[0],
        "saved": {name: saved(mean["touchstone"], curve) for name, curve in mean.items() if name != "touchstone"},
        "least_error": {name: min(point.error for point in curve) for name, curve in mean.items()},
        **{name: {key: fmean(row[key] for row in rows) for key in rows[0]} for name, rows in bounds.items()},
    }
    return figures, mean


def _bound(replay: Replay, bought: Bought, crowd: Tensor) -> dict[str, float]:
    """Sums rather than shares of the settled, so that orders may be averaged. `crowd`: what all answers say."""
    known = replay.truth >= 0
    settled = known & (bought.stop.status == Status.SETTLED)
    wrong = bought.stop.answer[settled] != replay.truth[settled]
    return {
        "answers": float(bought.answers[replay.gold < 0].double().mean()),
        "settled": float(settled.sum() / known.sum()),
        "wrong": float(wrong.double().sum() / known.sum()),
        "reversed": float((bought.stop.answer != crowd)[settled].double().sum() / known.sum()),
        "expected_wrong": float(bought.stop.cost[settled].sum() / known.sum()),
    }
