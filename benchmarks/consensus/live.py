"""Streaming against the whole fit, and the cost of an update."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from benchmarks.consensus.contender import answers_of
from benchmarks.consensus.datasets import Arrays, synthetic
from consensus import population
from consensus.answers import Answers
from consensus.form import Form, form_for, width
from consensus.live import revise
from consensus.model import Model
from consensus.prior import Prior
from consensus.scores import score
from consensus.segment import Segments
from consensus.statistics import count

BATCH = 100
REVISITED = 100  # stale challenges that a batch revisits
IDLE = 1000  # challenges that the idle revisit at a time
PASSES = 20  # over all challenges, at most, when nothing else is left to do
STILL = 1e-3
SHUFFLES = 3
ENOUGH = 100
CLAIM = 1000
CLAIMS = 31
STORED = (10**5, 10**7)
QUICK_STORED = (10**4, 10**5)
CLASSES = 4
CROWD = 10**5  # respondents, however much is stored: what an update costs depends on how many of them it touches


@dataclass(slots=True)
class Stream:
    """A project's live state. A challenge is the staler the more its respondents' statistics moved since its visit."""

    model: Model
    answers: Answers  # all that will come
    form: Form
    posterior: Tensor = field(init=False)
    statistics: Tensor = field(init=False)
    moved: Tensor = field(init=False)  # (J,) how far the statistics of each have gone, all told
    seen: Tensor = field(init=False)  # (I,) the sum of that over an item's annotators at its visit
    counted: Tensor = field(init=False)  # (N,) bool
    prior: Prior = field(init=False)
    order: Tensor = field(init=False)  # (N,) the answers by item
    respondents: Segments = field(init=False)  # in that order; J stands for an answer that is still to come
    place: Tensor = field(init=False)  # (N,) of each answer among these
    visits: int = 0
    known: int = 0  # answers when the population was learned last
    lessons: list[float] = field(default_factory=list)  # how long each took, in milliseconds

    def __post_init__(self) -> None:
        a = self.answers
        self.posterior = torch.full((a.I, a.K), 1 / a.K, dtype=torch.float64)
        self.statistics = torch.zeros(a.J, width(self.form, a.K), dtype=torch.float64)
        self.moved = torch.zeros(a.J, 1, dtype=torch.float64)
        self.seen = torch.zeros(a.I, dtype=torch.float64)
        self.counted = torch.zeros(a.N, dtype=torch.bool)
        self.prior = self.model.prior(a.K, self.form)
        self.order = a.item.argsort(stable=True)
        self.respondents = Segments.of(a.item[self.order], a.I, torch.full_like(self.order, a.J), a.J + 1)
        self.place = self.order.argsort()

    def take(self, batch: Tensor) -> None:
        """Count the answers at these places, and revisit the challenges that are stalest."""
        self.respondents.index[self.place[batch]] = self.answers.annotator[batch].to(self.respondents.index.dtype)
        self._visit(self.answers.item[batch].unique(), batch)
        self._visit(self.staleness().topk(min(REVISITED, self.answers.I)).indices.sort().values)
        self.learn(idle=False)

    def learn(self, *, idle: bool) -> None:
        """Learn the population, when that is due, from a random sample of the challenges with all their answers."""
        a, start, answers = self.answers, time.perf_counter(), int(self.counted.sum())
        if not population.due(answers, self.known, idle=idle):
            return
        self.known = answers
        sizes = torch.bincount(a.item[self.counted], minlength=a.I)
        shuffled = torch.randperm(a.I, generator=torch.Generator().manual_seed(a.I))
        shuffled = shuffled[sizes[shuffled] > 0]
        items = shuffled[sizes[shuffled].cumsum(0) <= population.SAMPLE].sort().values
        places = self._places(items)
        annotators, annotator = a.annotator[places].unique(return_inverse=True)
        item = torch.searchsorted(items, a.item[places])
        sample = Answers(item, annotator, a.label[places], len(items), len(annotators), a.K)
        self.prior = population.learn(self.model, sample, form=self.form)
        self.lessons.append(1000 * (time.perf_counter() - start))

    def drain(self) -> int:
        """Revisit everything, the stalest first, until nothing moves; the number of challenges revisited."""
        start = self.visits
        self.learn(idle=True)
        for _ in range(PASSES):
            posterior = self.posterior.clone()
            for part in self.staleness().argsort(descending=True, stable=True).split(IDLE):
                self._visit(part.sort().values)
            if float((self.posterior - posterior).abs().max()) < STILL:
                break
        return self.visits - start

    def staleness(self) -> Tensor:
        """(I,)"""
        return self.respondents.sum(pad(self.moved, (0, 0, 0, 1))).squeeze(1) - self.seen

    def _visit(self, items: Tensor, fresh: Tensor | None = None) -> None:
        """Revise items, to which these answers have just come."""
        a, places = self.answers, self._places(items)
        if fresh is not None:
            places = torch.cat([places, fresh])
        annotators, annotator = a.annotator[places].unique(return_inverse=True)
        item, label = torch.searchsorted(items, a.item[places]), a.label[places]
        sizes = len(items), len(annotators), a.K
        earlier = len(places) - (0 if fresh is None else len(fresh))
        before = Answers(item[:earlier], annotator[:earlier], label[:earlier], *sizes)
        after = Answers(item, annotator, label, *sizes)
        known = self.statistics[annotators]
        revision = revise(self.model, before, self.posterior[items], after, known, self.prior, form=self.form)
        self.posterior[items] = revision.posterior
        self.statistics[annotators] = revision.statistics
        self.moved[annotators, 0] += (revision.statistics - known).abs().sum(1) / (1 + known.sum(1))
        self.counted[places] = True
        movement = self.moved[annotators[annotator], 0]
        self.seen[items] = movement.new_zeros(len(items)).index_add(0, item, movement)
        self.visits += len(items)

    def _places(self, items: Tensor) -> Tensor:
        """Where the counted answers to items are."""
        starts, sizes = self.respondents.offsets[items], self.respondents.lengths[items]
        item = torch.arange(len(items)).repeat_interleave(sizes)
        inside = torch.arange(len(item)) - (sizes.cumsum(0) - sizes)[item]
        places = self.order[starts[item] + inside]
        return places[self.counted[places]]


def run(sets: Mapping[str, Path], model: Model, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Gaps in points of accuracy below the whole fit; times in milliseconds."""
    gaps = {}
    for name, path in sets.items():
        say(f"streaming {name}")
        gaps[name] = _gap(Arrays.load(path), model, 1 if quick else SHUFFLES)
    large = [gap for gap in gaps.values() if gap["truths"] >= ENOUGH]
    times = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as many as a live worker has
    for N in QUICK_STORED if quick else STORED:
        say(f"updating {CLAIM} answers among {N:.0e}")
        times.append(_update(N, model))
    torch.set_num_threads(threads)
    return {
        "model": model.name,
        "mean_gap": fmean(gap["mean"] for gap in large) if large else None,
        "worst_gap": max((gap["worst"] for gap in large), key=abs, default=None),
        "mean_gap_before_drain": fmean(gap["mean_before_drain"] for gap in large) if large else None,
        "update_ms": times[-1],
        "update_growth": times[-1] / times[0],
        "datasets": gaps,
    }


def _gap(arrays: Arrays, model: Model, shuffles: int) -> dict[str, float]:
    answers, truth = answers_of(arrays), torch.from_numpy(arrays.truth)
    form = form_for(answers.K) if arrays.shared else Form.COIN
    whole = score(model.fit(answers, form=form).posterior, truth)
    orders = [torch.arange(answers.N)]
    orders += [torch.randperm(answers.N, generator=torch.Generator().manual_seed(seed)) for seed in range(shuffles)]
    gaps, before, drained, streams = [], [], [], []
    for order in orders:
        stream = Stream(model, answers, form)
        for batch in order.split(BATCH):
            stream.take(batch)
        before.append(100 * (whole.accuracy - score(stream.posterior, truth).accuracy))
        drained.append(stream.drain() / answers.I)
        gaps.append(100 * (whole.accuracy - score(stream.posterior, truth).accuracy))
        streams.append(stream)
    return {
        "mean": fmean(gaps),
        "worst": max(gaps, key=abs),
        "mean_before_drain": fmean(before),
        "drain_visits_per_challenge": fmean(drained),
        "lessons": fmean(len(stream.lessons) for stream in streams),
        "lesson_ms": fmean(ms for stream in streams for ms in stream.lessons),
        "truths": whole.items,
    }


def _update(N: int, model: Model) -> float:
    """The median time to take in 1,000 answers to challenges that have others, those of these challenges loaded."""
    answers = answers_of(synthetic(N, CLASSES, CROWD))
    form = form_for(answers.K)
    order = answers.item.argsort(stable=True)
    each = answers.N // answers.I
    posterior = torch.full((answers.I, answers.K), 1 / answers.K, dtype=torch.float64)
    statistics, prior = count(form, answers, posterior), model.prior(answers.K, form)
    random = torch.Generator().manual_seed(1)
    times = []
    for _ in range(CLAIMS):
        items = torch.randint(answers.I, (CLAIM,), generator=random).unique()
        places = order[(items[:, None] * each + torch.arange(each)).flatten()]
        respondent, label = answers.annotator[places], answers.label[places]
        start = time.perf_counter()
        annotators, annotator = respondent.unique(return_inverse=True)
        item = torch.arange(len(items)).repeat_interleave(each)
        sizes = len(items), len(annotators), answers.K
        earlier = torch.arange(len(places)) % each > 0
        before = Answers(item[earlier], annotator[earlier], label[earlier], *sizes)
        after = Answers(item, annotator, label, *sizes)
        revision = revise(model, before, posterior[items], after, statistics[annotators], prior, form=form)
        posterior[items] = revision.posterior
        statistics[annotators] = revision.statistics
        times.append(1000 * (time.perf_counter() - start))
    return median(times)
