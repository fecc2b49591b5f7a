"""Simulated crowds: does the realised error of what is settled keep to the target?

The test. Crowds are independent. For each, d = errors among its settled challenges - target * settled ones; the error
of the settled is within the target at 95 % confidence if the one-sided upper limit of the mean of d, mean + 1.645
standard errors over the crowds, is at most 0. Challenges of one crowd, which share respondents, count as one draw.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any

import torch

from benchmarks.collection.buying import Buyer
from benchmarks.collection.rivals import Arrivals
from consensus import registry
from consensus.form import form_for
from consensus.simulation import Kind, simulate
from consensus.stopping import Rule, Status

CHALLENGES, CLASSES, EACH, RESPONDENTS = 200, 4, 20, 50
TARGET = 0.05
MINIMUM = 2
CLEAN = {Kind.CARELESS: 0.18, Kind.BIASED: 0.14, Kind.SPAMMER: 0.14}  # the others are honest
COLLUDING = {**CLEAN, Kind.RING: 0.1}
QUANTILE = 1.645


@dataclass(frozen=True, slots=True)
class _End:
    settled: int
    wrong: int
    expected: float  # errors among the settled
    answers: float  # to a challenge
    accuracy: float  # of all verdicts, settled or not


def run(pool: Executor, model: str, number: int) -> Callable[[], dict[str, Any]]:
    """Begin with clean crowds, and with crowds of which a tenth collude; returns what waits for their figures."""
    mixes = {"clean": CLEAN, "colluding": COLLUDING}
    ends = {name: [pool.submit(_collect, model, seed, mix) for seed in range(number)] for name, mix in mixes.items()}
    return lambda: {name: _figures([end.result() for end in some]) for name, some in ends.items()}


def _collect(name: str, seed: int, mix: dict[Kind, float]) -> _End:
    model = registry.get(name)
    crowd = simulate(seed, CHALLENGES, CLASSES, CHALLENGES * EACH, RESPONDENTS, mix)
    arrivals = Arrivals.of(crowd.answers, torch.arange(crowd.answers.N))
    buyer = Buyer(model, arrivals.answers, form_for(CLASSES), arrivals.place)
    bought = buyer.run(Rule(target=TARGET, minimum=MINIMUM))
    settled = bought.stop.status == Status.SETTLED
    wrong = bought.stop.answer != crowd.truth
    return _End(
        settled=int(settled.sum()),
        wrong=int((settled & wrong).sum()),
        expected=float(bought.stop.cost[settled].sum()),
        answers=float(bought.answers.double().mean()),
        accuracy=float((~wrong).double().mean()),
    )


def _figures(ends: list[_End]) -> dict[str, Any]:
    settled = sum(end.settled for end in ends)
    over = [end.wrong - TARGET * end.settled for end in ends]
    limit = fmean(over) + QUANTILE * stdev(over) / sqrt(len(over))
    return {
        "crowds": len(ends),
        "target": TARGET,
        "settled": settled / (len(ends) * CHALLENGES),
        "error": sum(end.wrong for end in ends) / settled,
        "error_limit": TARGET + limit * len(ends) / settled,
        "expected_error": sum(end.expected for end in ends) / settled,
        "within_target": limit <= 0,
        "worst_crowd": max(end.wrong / end.settled for end in ends if end.settled),
        "mean_answers": fmean(end.answers for end in ends),
        "of": EACH,
        "accuracy": fmean(end.accuracy for end in ends),
    }
