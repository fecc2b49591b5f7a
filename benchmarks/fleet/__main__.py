"""The fleet under load: what it sustains, how long a verdict takes, what it stores, what it holds in memory.

python -m benchmarks.fleet [--json] [--parts PART,...] [--seconds N] [--preload N] [--peer [SCRIPT]] [--rate N]
"""

import argparse
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from benchmarks.fleet import fairness, flower, ingest, naive, soak, storage, sustained
from benchmarks.fleet.crowd import Crowd
from benchmarks.fleet.run import Run
from benchmarks.fleet.stack import Stack, running

PARTS = ("throughput", "latency", "fairness", "ingest", "soak", "preload")
FIGURES = (
    "answers_per_second",
    "naive_plumbing_ratio",
    "naive_ratio",
    "p50_ms",
    "p99_ms",
    "ingest_per_second",
    "preloaded_ratio",
    "bytes_per_answer",
    "rss_growth",
)
"""What must be shown; null where its part was not chosen, or could not be measured."""
FOREIGN = 0.2
"""Cores that others may take while a figure is measured."""
SEED = 20241105
LEAST = 25_000.0
"""Answers a second at which latency is measured, or half of what is sustained, whichever is more."""
NAIVE = Path("../shared/baselines/naive_fleet.py")
SOAK = 10
"""Times as long as the other runs."""
FLOOD = 20.0
"""Seconds that a flood lasts, at most: what it leaves must run off."""
FILL = 30.0
"""Seconds of a run that fills the database."""
WARM_UP = 10.0
"""Seconds of a run that fills the pool before the one that counts."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print the figures as JSON on the last line")
    parser.add_argument("--parts", default=",".join(PARTS), help="of %(default)s")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a run; ten times as long for the soak")
    parser.add_argument("--preload", type=int, default=20_000_000, help="answers stored before throughput again")
    parser.add_argument("--peer", type=Path, nargs="?", const=NAIVE, help="the naive stack's script; adds its runs")
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds with the naive stack")
    parser.add_argument("--rate", type=float, help="answers a second to hold, instead of finding the highest")
    parser.add_argument("--first", type=float, default=sustained.FIRST, help="answers a second to begin the search at")
    parser.add_argument("--set", dest="settings", nargs="*", default=[], metavar="NAME=VALUE", help="of the stack")
    parser.add_argument("--pool", type=int, default=100_000, help="open challenges")
    parser.add_argument("--respondents", type=int, default=100_000)
    parser.add_argument("--cache", type=Path, default=Path(".touchstone/bench-naive"), help="the peer's environment")
    found = parser.parse_args()
    found.parts = found.parts.split(",")
    for part in found.parts:
        if part not in PARTS:
            parser.error(f"{part}: there are {', '.join(PARTS)}")
    found.settings = dict(pair.split("=", 1) for pair in found.settings)
    return found


class Report:
    """What was found so far, and how it is told."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.found: dict[str, Any] = dict.fromkeys(FIGURES)
        self.runs: list[dict[str, Any]] = []

    def run(self, what: str, run: Run) -> None:
        """Tell of a run."""
        self.runs.append({"what": what, **run.report()})
        steady = "steady" if run.steady else "[red]not steady[/red]"
        self.console.print(
            f"{what}: {steady}, graded {run.graded:,.0f}/s, p50 {run.p50_ms} ms, p99 {run.p99_ms} ms, backlog"
            f" {run.backlog_first:,.0f} -> {run.backlog_last:,.0f}, {run.batches_per_claim} batches a claim,"
            f" foreign {run.foreign_cores} cores"
        )

    def add(self, **figures: Any) -> None:
        """Tell of figures."""
        self.found |= figures
        self.console.print(figures)

    @contextmanager
    def kept(self, *, as_json: bool) -> Iterator[None]:
        """Whatever ends the block, what was found by then is printed."""
        try:
            yield
        except BaseException as error:
            self.add(broken=f"{type(error).__name__}: {error}")
            raise
        finally:
            if as_json:
                print(json.dumps({**self.found, "runs": self.runs}))


def main() -> None:
    chosen = options()
    report = Report()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told what was found; nothing stays
    with report.kept(as_json=chosen.json):
        _measure(chosen, report)


def _measure(chosen: argparse.Namespace, report: Report) -> None:
    report.add(cores=os.cpu_count(), settings=chosen.settings)
    rate = chosen.rate
    if {"throughput", "latency", "fairness", "soak", "preload"} & set(chosen.parts):
        with _home() as home, running(home, _crowd(chosen), **chosen.settings) as stack:
            rate = _graded(chosen, report, stack)
    if "ingest" in chosen.parts:
        with _home() as home:
            taken = ingest.measure(home, _crowd(chosen), chosen.seconds, **chosen.settings)
        report.add(ingest_per_second=taken.accepted, ingest=asdict(taken))
    if chosen.peer:
        _beside_naive(chosen, report, rate)


@contextmanager
def _home() -> Iterator[Path]:
    """A home for one stack. It goes with the stack: the memory that its files take in the system's cache is the next
    one's."""
    with TemporaryDirectory(prefix="touchstone-") as directory:
        yield Path(directory) / "fleet"


def _crowd(chosen: argparse.Namespace) -> Crowd:
    return Crowd(SEED, chosen.pool, chosen.respondents)


def _names() -> Iterator[str]:
    return (f"run{number:04d}" for number in count())


def _graded(chosen: argparse.Namespace, report: Report, stack: Stack) -> float:
    """All parts that need workers, on one database that fills; the rate that an empty one sustains."""
    names = _names()
    rate = _sustained(chosen, report, stack, names, chosen.first)
    report.add(answers_per_second=rate.graded, sustained=rate.steady)
    half = max(LEAST, rate.graded / 2) if chosen.rate is None else rate.graded / 2
    if "latency" in chosen.parts:
        run = sustained.hold(stack, names, half, chosen.seconds, report.run)
        report.add(p50_ms=run.p50_ms, p99_ms=run.p99_ms, latency_at=run.offered)
    if "fairness" in chosen.parts:
        shared = fairness.measure(stack, names, rate.graded, min(chosen.seconds, FLOOD), report.run)
        report.add(fairness=asdict(shared))
    if "soak" in chosen.parts:
        run = sustained.hold(stack, names, rate.graded / 2, SOAK * chosen.seconds, report.run)
        grown = soak.growth(run)
        report.add(
            rss_growth=max(found.growth for role, found in grown.items() if soak.bounded(role)),
            resident_mb={role: asdict(found) for role, found in grown.items()},
        )
    if "preload" in chosen.parts and chosen.preload:
        while storage.stored(stack) < chosen.preload:
            sustained.hold(stack, names, 0.95 * rate.graded, FILL, report.run)
        later = _sustained(chosen, report, stack, names, rate.graded / 2)
        report.add(preloaded_ratio=round(later.graded / rate.graded, 3), preloaded=later.graded)
    kept = storage.measure(stack)
    report.add(bytes_per_answer=kept.bytes_per_answer, storage=asdict(kept), accuracy=storage.accuracy(stack))
    report.add(flower=asdict(flower.look(stack)))
    return rate.graded


def _sustained(chosen: argparse.Namespace, report: Report, stack: Stack, names: Iterator[str], first: float) -> Run:
    if chosen.rate is not None:
        return sustained.hold(stack, names, chosen.rate, chosen.seconds, report.run)
    return sustained.find(stack, names, chosen.seconds, first, report.run)


def _beside_naive(chosen: argparse.Namespace, report: Report, rate: float | None) -> None:
    """Alternating runs, each on a database of its own."""
    interpreter = naive.python(chosen.cache.absolute())
    ours: list[Run] = []
    theirs: dict[bool, list[naive.Naive]] = {False: [], True: []}
    for _ in range(chosen.rounds):
        with _home() as home, running(home, _crowd(chosen), **chosen.settings) as stack:
            names = _names()
            if rate is None:
                rate = sustained.find(stack, names, chosen.seconds, chosen.first, report.run).graded
            sustained.hold(stack, names, rate, WARM_UP, report.run)
            ours.append(sustained.lowered(stack, names, rate, chosen.seconds, report.run))
        for model, runs in theirs.items():
            runs.append(naive.measure(chosen.peer, interpreter, model=model))
            report.console.print(runs[-1])
    report.add(
        naive_plumbing_ratio=_ratio(ours, theirs[False]),
        naive_ratio=_ratio(ours, theirs[True]),
        beside_naive={
            "ours": [{"graded": run.graded, "steady": run.steady, "foreign_cores": run.foreign_cores} for run in ours],
            "naive": [asdict(run) for runs in theirs.values() for run in runs],
        },
    )


def _ratio(ours: list[Run], theirs: list[naive.Naive]) -> float | None:
    """Median over the rounds in which ours was steady, and nobody else at work."""
    ratios = [
        own.graded / run.answers_per_second
        for own, run in zip(ours, theirs, strict=True)
        if own.steady and max(own.foreign_cores, run.foreign_cores) <= FOREIGN
    ]
    return round(median(ratios), 2) if ratios else None


if __name__ == "__main__":
    main()
