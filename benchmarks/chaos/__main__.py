"""Proof under fire: kill what runs under load, again and again, and audit the books after each time.

    python -m benchmarks.chaos [--kills 200] [--seed S] [--rate 5] [--disk MB] [--only KIND ...] [--json]

Everything runs as `touchstone up` runs it, with the settings a user gets. A round waits a moment of chance, strikes,
and takes the time from when what was struck runs again (not from when it is ready) until every batch accepted before
that moment is graded; then it audits the project's books in one snapshot, while load goes on. Behind ten rounds, or
2,000 batches, the load ends: then nothing may be left over, and a new project begins. At the end the books of all
projects are audited once more. While a process is on its way to a crash point, a server stands still or a disk is full,
one of the others is killed as well. `kills` are processes killed; stopped servers, emptied queues, doubled messages,
jumping clocks and a full disk come on top. An outage lasts from the strike to that same moment.

Exits with 1 if any book does not balance, a batch is dead, a crash point was never reached, recovery took too long, or
the run broke: then with what was done until then.
"""

import argparse
import contextlib
import json
import math
import random
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from rich.console import Console
from sqlalchemy.exc import DBAPIError

from benchmarks.chaos import books, disk
from benchmarks.chaos.books import Faults
from benchmarks.chaos.disk import UnmountableError
from benchmarks.chaos.load import MANY, Crowd, Load
from benchmarks.chaos.stack import LIMIT, BrokenError, Stack, until
from benchmarks.chaos.strikes import FULL_DISK, POINTS, STRIKES, beside, deck

T = TypeVar("T")

ROUNDS = 10
"""Of one project, at most,"""
MUCH = 2000
"""and batches behind which it has no other: the longer its books, the longer each audit."""
DISK = 4000
"""MB that Postgres gets where it can have a disk of its own."""
CALM = 2.0
"""Seconds before a strike, at most."""
SLOWEST = 10.0
"""Seconds that recovery may take, but after one strike in a hundred."""


@dataclass
class Report:
    """What was done and what was found."""

    seed: int
    kills: int = 0
    rounds: int = 0
    batches: int = 0
    answers: int = 0
    dead: int = 0
    contradictions: int = 0
    faults: Faults = field(default_factory=Faults)
    recovery: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    outages: list[float] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Kinds that cannot be done here, and why."""
    killed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    refusals: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds that each request took to be refused while the stack was struck, by kind."""
    broken: str | None = None
    """How the run broke, if it did."""

    @property
    def unreached(self) -> list[str]:
        """Crash points at which a process was to die, and none ever has."""
        return [point for point in POINTS if self.recovery.get(point) and not self.killed.get(point)]

    @property
    def clean(self) -> bool:
        """Whether all holds that is to be proved."""
        slow = (_quantile(self._recoveries, 0.99) or 0.0) > SLOWEST
        return not (self.faults or self.contradictions or self.dead or self.unreached or slow or self.broken)

    @property
    def _recoveries(self) -> list[float]:
        return sorted(seconds for each in self.recovery.values() for seconds in each)

    def figures(self) -> dict[str, Any]:
        """As JSON has them."""
        everything = self._recoveries
        found = asdict(self.faults)
        found["twice"] += self.contradictions
        return {
            "kills": self.kills,
            **found,
            "recovery_p99_s": _quantile(everything, 0.99),
            "recovery_p50_s": _quantile(everything, 0.5),
            "recovery_max_s": _quantile(everything, 1.0),
            "outage_p99_s": _quantile(sorted(self.outages), 0.99),
            "seed": self.seed,
            "rounds": self.rounds,
            "batches": self.batches,
            "answers": self.answers,
            "dead": self.dead,
            "unreached": self.unreached,
            "untried": [kind for kind in STRIKES if kind not in self.recovery],
            "left_out": self.left_out,
            "broken": self.broken,
            "kinds": {
                kind: {
                    "rounds": len(each),
                    "kills": self.killed[kind],
                    "worst_s": max(each),
                    "refused": len(self.refusals[kind]),
                    "slowest_refusal_s": round(max(self.refusals[kind], default=0.0), 2),
                }
                for kind, each in sorted(self.recovery.items())
            },
        }


def main() -> None:
    """Strike, audit and print; the last line is JSON when asked for."""
    parser = argparse.ArgumentParser(description="Proof under fire.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--rate", type=float, default=5.0, help="batches posted each second, besides bursts")
    parser.add_argument("--rounds", type=float, default=math.inf, help="stop after so many, whatever was killed")
    parser.add_argument(
        "--disk", type=int, metavar="MB", default=DISK, help="of a disk of its own for Postgres, which is filled up"
    )
    parser.add_argument("--only", nargs="+", choices=STRIKES, default=list(STRIKES))
    parser.add_argument("--home", type=Path, help="keep the stack's data and logs here")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told what was done; nothing stays
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"seed {seed}")
    with contextlib.ExitStack() as left:
        home = options.home or Path(left.enter_context(TemporaryDirectory(prefix="touchstone-chaos-")))
        stack = Stack(home)
        kinds, left_out = _possible(options.only, stack, options.disk, left)
        for kind, why in left_out.items():
            console.print(f"{kind} is left out: {why}")
        if not kinds:
            parser.error("nothing is left to be done")
        report = bombard(stack, options.kills, seed, options.rate, kinds, console, options.rounds)
        report.left_out = left_out
    print(json.dumps(report.figures()) if options.json else json.dumps(report.figures(), indent=1))
    if not report.clean:
        sys.exit(1)


def _possible(
    kinds: list[str], stack: Stack, size: int, left: contextlib.ExitStack
) -> tuple[list[str], dict[str, str]]:
    """The kinds that can be done here, and why not the others; a disk for Postgres stays mounted until `left` ends."""
    if FULL_DISK not in kinds:
        return kinds, {}
    try:
        if size < disk.LEAST:
            raise UnmountableError(f"a disk has at least {disk.LEAST} MB")
        left.enter_context(disk.mounted(stack.database, size))
    except UnmountableError as error:
        return [kind for kind in kinds if kind != FULL_DISK], {FULL_DISK: str(error)}
    return kinds, {}


def bombard(
    stack: Stack,
    kills: int,
    seed: int,
    rate: float,
    kinds: list[str],
    console: Console,
    rounds: float = math.inf,
    crowd: Crowd = MANY,
) -> Report:
    """Strike until so many processes were killed, or so many rounds are over, or the run breaks."""
    report = Report(seed)
    chance = random.Random(seed)
    cards = deck(chance, kinds)
    names = (f"chaos-{epoch}" for epoch in count(1))

    def over() -> bool:
        return report.kills >= kills or report.rounds >= rounds

    loads: list[Load] = []
    try:
        with stack:
            while not over():
                loads.append(Load(stack, next(names), chance.getrandbits(32), rate, crowd))
                _under(loads[-1], stack, islice(cards, ROUNDS), chance, report, console, over)
                _rest(stack, loads[-1], report, console)
            for load in loads[:-1]:  # later strikes may have undone what balanced
                report.faults += _audit(stack, load, console)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - told with what was done so far
        console.print(traceback.format_exc(), markup=False)
        report.broken = _how(error)
    return report


def _under(
    load: Load,
    stack: Stack,
    kinds: Iterable[str],
    chance: random.Random,
    report: Report,
    console: Console,
    over: Callable[[], bool],
) -> None:
    """Strike under a load, which ends after that, and is reported whatever happens."""
    try:
        with load:
            until(lambda: len(load.accepted) > 10 or load.error, "a load")
            for kind in kinds:
                if load.error:
                    break  # raised where the load ends
                time.sleep(chance.uniform(0, CALM))
                _round(stack, load, kind, chance, report, console)
                if over() or len(load.accepted) > MUCH:
                    break
    finally:
        report.contradictions += load.contradictions
        report.batches += len(load.accepted)
        report.answers += sum(map(len, load.accepted.values()))


def _round(stack: Stack, load: Load, kind: str, chance: random.Random, report: Report, console: Console) -> None:
    project = load.project_id
    strike = STRIKES[kind]
    began = time.time()
    with beside(stack, chance) if strike.joined else contextlib.nullcontext(0) as more:
        killed = strike.act(stack, chance, load)
    over = time.time()
    refusals = [seconds for moment, seconds in list(load.refusals) if began <= moment < over]
    _eventually(lambda: books.pending(stack.engine, project, over) == 0, f"recovery after {kind}")
    graded = _asked(lambda: books.finished(stack.engine, project, over), "the time of recovery")
    recovery = max(0.0, graded - over)
    known, cancelled = dict(load.accepted), set(load.cancelled)
    faults = _asked(lambda: books.audit(stack.engine, project, known, cancelled), "an audit")
    report.rounds += 1
    report.kills += killed + more
    report.killed[kind] += killed
    report.recovery[kind].append(round(recovery, 2))
    report.outages.append(round(max(over, graded) - began, 2))
    report.refusals[kind] += refusals
    report.faults += faults
    refused = f"  {len(refusals)} refused within {max(refusals):.2f} s" if refusals else ""
    console.print(f"{report.kills:4} {kind:28} {recovery:6.2f} s  {len(known):6} batches{refused}  {_told(faults)}")
    _eventually(stack.whole, f"everything at work after {kind}")


def _rest(stack: Stack, load: Load, report: Report, console: Console) -> None:
    """The load is over: nothing may be left when the fleet has come to rest."""
    project = load.project_id

    def settled() -> bool:
        return not books.unsettled(stack.engine, project)

    with contextlib.suppress(BrokenError):
        _eventually(settled, "nothing left to do", 60)
    report.faults += _audit(stack, load, console)
    report.dead += _asked(lambda: books.dead(stack.engine, project), "what is dead")


def _audit(stack: Stack, load: Load, console: Console) -> Faults:
    """What is wrong with a project for which nothing is to be done any more."""
    project, known, cancelled = load.project_id, load.accepted, load.cancelled
    faults = _asked(lambda: books.audit(stack.engine, project, known, cancelled, at_rest=True), "an audit at rest")
    console.print(f"     at rest: {len(known)} batches  {_told(faults)}")
    if faults.unsettled:
        for line in _asked(lambda: books.unsettled(stack.engine, project), "what is left"):
            console.print(f"       {line}", markup=False)
    return faults


def _told(faults: Faults) -> str:
    return str(asdict(faults)) if faults else "books balance"


def _how(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _asked(question: Callable[[], T], what: str) -> T:
    """What Postgres says; asked again when it, which has just been struck, goes away once more."""
    said: list[T] = []

    def ask() -> bool:
        said.append(question())
        return True

    _eventually(ask, what)
    return said[-1]


def _eventually(condition: Callable[[], object], what: str, limit: float = LIMIT) -> None:
    """Wait for it, through outages of Postgres.

    Raises:
        BrokenError: it did not come true in time; with what Postgres said last, if that was an error.
    """
    why = ""

    def holds() -> object:
        nonlocal why
        try:
            found = condition()
        except DBAPIError as error:
            why = f": {error.orig}"
            return False
        why = ""
        return found

    try:
        until(holds, what, limit)
    except BrokenError as error:
        raise BrokenError(f"{error}{why}") from None


def _quantile(values: list[float], share: float) -> float | None:
    """The smallest value that so large a share does not exceed."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else None


if __name__ == "__main__":
    main()
