"""Fairness: how long projects that trickle wait for their verdicts while another one floods the fleet."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from sqlalchemy import text

from benchmarks.fleet.run import Run, settle
from benchmarks.fleet.stack import Stack
from benchmarks.fleet.sustained import hold

PROJECTS = 50
TRICKLES = "trickle-%"
"""Their names, as a pattern."""
ANSWERS = 10
"""Of a batch."""
PERIOD = 5.0
"""Seconds between two batches of a project."""
FLOOD = 1.5
"""Times what the fleet sustains that the flood offers."""

_WAITED = text("""
SELECT extract(epoch FROM b.finished_at - b.accepted_at)::float8 * 1000
FROM batches b JOIN projects p ON p.id = b.project_id
WHERE p.name LIKE :projects AND b.idempotency_key LIKE :run AND b.state = 'graded'
""")


@dataclass(frozen=True, slots=True)
class Fairness:
    """From a batch's acceptance to its verdicts, in milliseconds, of the projects that trickle."""

    projects: int
    alone_p50_ms: float
    alone_p99_ms: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    batches: int
    """Graded while the flood was on; `sent` were accepted."""
    sent: int
    flood_offered: float
    """Answers a second of the project that floods."""
    flood_graded: float


def measure(
    stack: Stack, names: Iterator[str], rate: float, seconds: float, say: Callable[[str, Run], None]
) -> Fairness:
    """Let the trickle run alone, then beside a flood of more answers a second than the fleet can grade."""
    with stack.client() as client:
        for number in range(PROJECTS):
            project = {"name": f"trickle-{number:02d}", "classes": ["no", "yes"]}
            client.post("/projects", json=project).raise_for_status()
    with _Trickle(stack, "alone"):
        time.sleep(seconds / 2)
    settle(stack, TRICKLES)
    alone = _waited(stack, "alone")
    with _Trickle(stack, "beside") as trickle:
        run = hold(stack, names, FLOOD * rate, seconds, say)
    settle(stack, TRICKLES)
    beside = _waited(stack, "beside")
    return Fairness(
        PROJECTS,
        *(round(float(np.percentile(alone, share)), 1) for share in (50, 99)),
        *(round(float(np.percentile(beside, share)), 1) for share in (50, 99, 100)),
        len(beside),
        trickle.sent,
        run.offered,
        run.graded,
    )


class _Trickle:
    """Posts a batch of every project once in a period, spread over it, until the block ends."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._stack, self._name = stack, name
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trickle")
        self._error: Exception | None = None
        self.sent = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    def _run(self) -> None:
        try:
            self._post()
        except Exception as error:  # noqa: BLE001 - told to whoever ends the block
            self._error = error

    def _post(self) -> None:
        start = time.monotonic()
        with self._stack.client() as client:
            while not self._over.wait(max(0.0, start + self.sent * PERIOD / PROJECTS - time.monotonic())):
                turn, project = divmod(self.sent, PROJECTS)
                answers = [
                    {"challenge": f"c{turn // 5}-{place}", "respondent": f"r{turn % 97}", "answer": "yes"}
                    for place in range(ANSWERS)
                ]
                path = f"/projects/trickle-{project:02d}/batches"
                headers = {"Idempotency-Key": f"{self._name}-{self.sent}"}
                client.post(path, json={"answers": answers}, headers=headers).raise_for_status()
                self.sent += 1


def _waited(stack: Stack, run: str) -> list[float]:
    with stack.engine.connect() as connection:
        return list(connection.execute(_WAITED, {"projects": TRICKLES, "run": f"{run}-%"}).scalars())
