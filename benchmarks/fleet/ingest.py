"""Taking answers in alone: workers stopped, back-pressure off, the gateway as fast as replies come."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.fleet.crowd import ANSWERS, Crowd
from benchmarks.fleet.processor import Processor
from benchmarks.fleet.run import UNANSWERED, send
from benchmarks.fleet.stack import Stack, running

_PROBE = 3.0
"""Seconds of a first run, which says how many POSTs the second needs."""
_SPARE = 1.3
_MOST = 4000
"""POSTs encoded for each second of the first run: more than two cores take."""
_OFF = {"lease": 3600, "backlog_age": 0, "backlog_bytes": 0, "stall": 3600}
"""No process that stands still is taken for dead; no POST is refused because of what waits."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """Rates are in answers a second."""

    seconds: float
    accepted: float
    refused: int
    p99_ms: float
    """From a POST to its reply, all connections busy."""
    foreign_cores: float
    cores: dict[str, float]
    microseconds: dict[str, float]
    """Processor time per accepted answer by role."""


def measure(home: Path, crowd: Crowd, seconds: float, **settings: object) -> Ingest:
    """Answers accepted durably in so many seconds."""
    with running(home, crowd, **{**settings, **_OFF}) as stack, _without_workers(stack):
        first = min(_PROBE, seconds / 2)
        probe = _take(stack, "probe", int(_MOST * first), first)
        expected = probe.accepted / ANSWERS * seconds
        return _take(stack, "ingest", int(_SPARE * expected) + 100, seconds)


@contextmanager
def _without_workers(stack: Stack) -> Iterator[None]:
    workers = [pid for name, pid in stack.processes().items() if name.startswith("worker-")]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def _take(stack: Stack, run: str, posts: int, seconds: float) -> Ingest:
    requests = stack.encode(run, posts)
    try:
        with Processor(stack.processes, stack.clients) as processor:
            sent = send(stack, requests, 0, seconds)
    finally:
        requests.path.unlink()
    accepted = sent["status"] == 202
    began, replied = sent["began"][accepted], sent["replied"][accepted]
    taken = float(replied.max() - sent["start"])
    total = ANSWERS * int(accepted.sum())
    return Ingest(
        seconds=round(taken, 1),
        accepted=round(total / taken, 1),
        refused=int((~accepted & (sent["status"] != UNANSWERED)).sum()),
        p99_ms=round(float(np.percentile(1000 * (replied - began), 99)), 1),
        foreign_cores=processor.foreign,
        cores=processor.cores,
        microseconds={
            role: round(1e6 * cores * processor.seconds / total, 2) for role, cores in processor.cores.items()
        },
    )
