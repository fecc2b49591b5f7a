"""One run: the crowd offers answers at a rate, and we look what became of them."""

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
from sqlalchemy import text

from benchmarks.fleet.crowd import ANSWERS
from benchmarks.fleet.processor import Processor
from benchmarks.fleet.requests import Requests
from benchmarks.fleet.stack import PROJECT, Stack

Floats = npt.NDArray[np.float64]

CONNECTIONS = 64
UNANSWERED = 0
"""Status that the gateway notes where there was no reply."""
KEEPS_UP = 0.98
"""Share of the offered answers that must be graded in the same time."""
NOISE = 0.25
"""Seconds' worth of answers by which the backlog may differ between quarters."""

_WARM = 0.2
"""Share of a run, at its beginning, that figures leave out."""
_DRAIN_LIMIT = 600.0
_SPARE = 1.1
"""Requests encoded for each expected."""

_FINISHED = text("""
SELECT split_part(idempotency_key, '-', 2)::int, extract(epoch FROM finished_at)::float8, xmin::text::bigint
FROM batches
WHERE project_id = (SELECT id FROM projects WHERE name = :project) AND idempotency_key LIKE :run
  AND state = 'graded'
""")
_WAITING = """
WITH ours AS (SELECT id FROM projects WHERE name LIKE :projects)
SELECT (SELECT count(*) FROM batches WHERE state IN ('waiting', 'claimed') AND project_id IN (SELECT id FROM ours))
    + (SELECT count(*) FROM gold WHERE NOT applied AND project_id IN (SELECT id FROM ours))
"""


@dataclass(frozen=True, slots=True)
class Run:
    """Figures of a run, its first fifth left out. Rates are in answers a second, backlogs in answers."""

    seconds: float
    offered: float
    accepted: float
    refused: int
    """POSTs with another reply than 202."""
    unanswered: int
    """POSTs that were sent and had no reply in time, or were due and never sent as no connection was free: backlog."""
    graded: float
    p50_ms: float | None
    """From a POST's time to its verdicts; null when some were never graded."""
    p99_ms: float | None
    reply_p99_ms: float | None
    """From a POST's time to its reply."""
    backlog_first: float
    """Mean over the first quarter, then over the last."""
    backlog_last: float
    claims: int
    batches_per_claim: float
    foreign_cores: float
    cores: dict[str, float]
    microseconds: dict[str, float] = field(default_factory=dict)
    """Processor time per graded answer by role."""
    resident_mb: dict[str, list[float]] = field(default_factory=dict, repr=False)

    @property
    def flat(self) -> bool:
        """Whether nothing was refused and the backlog did not grow: all that a short run can say."""
        return not self.refused and self.backlog_last <= self.backlog_first + NOISE * self.offered

    @property
    def steady(self) -> bool:
        """Whether as much was graded as offered, too."""
        return self.flat and self.graded >= KEEPS_UP * self.offered

    def report(self) -> dict[str, Any]:
        """For JSON."""
        return {name: value for name, value in asdict(self).items() if name != "resident_mb"} | {"steady": self.steady}


def offer(stack: Stack, run: str, rate: float, seconds: float) -> Run:
    """Offer so many answers a second, then wait until all are graded."""
    posts = int(rate / ANSWERS * seconds * _SPARE) + 50
    requests = stack.prepare(run, posts)
    settle(stack)
    try:
        with Processor(stack.processes, stack.clients) as processor:
            sent = send(stack, requests, rate / ANSWERS, seconds)
    finally:
        requests.path.unlink()
    looked = time.time()
    settle(stack)
    return figures(sent, _fates(stack, run, len(sent["scheduled"])), processor, seconds, looked)


def settle(stack: Stack, projects: str = PROJECT, poll: float = 0.1) -> None:
    """Wait until nothing of projects with such names (a pattern of LIKE) waits for a worker; look every `poll` seconds.

    Raises:
        RuntimeError: grading takes far too long.
    """
    deadline = time.monotonic() + _DRAIN_LIMIT
    while stack.scalar(_WAITING, projects=projects):
        if time.monotonic() > deadline:
            raise RuntimeError(f"batches or gold still wait after {_DRAIN_LIMIT:.0f} s")
        time.sleep(poll)


def send(stack: Stack, requests: Requests, rate: float, seconds: float, seed: int = 1) -> dict[str, Any]:
    """Let the gateway send encoded POSTs at a rate, 0 for as fast as it can; what it noted."""
    with TemporaryDirectory(prefix="touchstone-") as directory:
        out = Path(directory) / "sent.npz"
        words = (requests.path, requests.size, stack.settings.port, rate, seconds, CONNECTIONS, seed, out)
        subprocess.run([sys.executable, "-m", "benchmarks.fleet.load", *map(str, words)], check=True)
        with np.load(out) as found:
            return dict(found)


@dataclass(frozen=True, slots=True)
class Fates:
    """What became of POSTs, by their number."""

    finished: Floats
    """(P,) when it was graded, in seconds since the epoch; NaN if never."""
    transaction: npt.NDArray[np.int64]
    """(P,) which transaction did it."""


def _fates(stack: Stack, run: str, posts: int) -> Fates:
    with stack.engine.connect() as connection:
        rows = connection.execute(_FINISHED, {"project": PROJECT, "run": f"{run}-%"}).all()
    fates = Fates(np.full(posts, np.nan), np.zeros(posts, dtype=np.int64))
    for number, moment, xmin in rows:
        fates.finished[number], fates.transaction[number] = moment, xmin
    return fates


def figures(sent: Mapping[str, Any], fates: Fates, processor: Processor, seconds: float, looked: float) -> Run:
    """The figures of a run.

    Args:
        sent: what the gateway noted: `start`, and of each POST that was due `scheduled`, `replied` and `status`.
        looked: until when the processor's time was measured, in seconds since the epoch.
    """
    scheduled, replied, status, finished = sent["scheduled"], sent["replied"], sent["status"], fates.finished
    accepted = status == httpx.codes.ACCEPTED
    refused = ~accepted & (status != UNANSWERED)
    begin, end = float(sent["start"]) + _WARM * seconds, float(sent["start"]) + seconds
    span = end - begin
    window = (scheduled >= begin) & (scheduled < end)
    in_time = (finished >= begin) & (finished < end)
    claims = len(np.unique(fates.transaction[in_time]))
    latency = 1000 * (finished - scheduled)[window & accepted]
    quarter = span / 4
    total = ANSWERS * int((finished < looked).sum())  # what the processor time up to then was spent on
    return Run(
        seconds=round(seconds, 1),
        offered=_rate(window, span),
        accepted=_rate(accepted & (replied >= begin) & (replied < end), span),
        refused=int(refused.sum()),
        unanswered=int((status == UNANSWERED).sum()),
        graded=_rate(in_time, span),
        p50_ms=_percentile(latency, 50),
        p99_ms=_percentile(latency, 99),
        reply_p99_ms=_percentile(1000 * (replied - scheduled)[window & accepted], 99),
        backlog_first=_backlog(scheduled[~refused], finished[~refused], begin, begin + quarter),
        backlog_last=_backlog(scheduled[~refused], finished[~refused], end - quarter, end),
        claims=claims,
        batches_per_claim=round(int(in_time.sum()) / max(1, claims), 2),
        foreign_cores=processor.foreign,
        cores=processor.cores,
        microseconds={
            role: round(1e6 * cores * processor.seconds / max(1, total), 2) for role, cores in processor.cores.items()
        },
        resident_mb=processor.resident,
    )


def _rate(posts: npt.NDArray[np.bool_], seconds: float) -> float:
    return round(ANSWERS * int(posts.sum()) / seconds, 1)


def _percentile(values: Floats, share: float) -> float | None:
    return round(float(np.percentile(values, share)), 1) if len(values) and np.isfinite(values).all() else None


def _backlog(scheduled: Floats, finished: Floats, begin: float, end: float) -> float:
    """Answers that are due and not graded, on average between two moments."""
    ended = np.where(np.isfinite(finished), finished, np.inf)
    waited = np.clip(np.minimum(ended, end) - np.maximum(scheduled, begin), 0, None)
    return round(ANSWERS * float(waited.sum()) / (end - begin), 1)
