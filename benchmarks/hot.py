"""What an answer costs to a challenge that everybody answers, as gold that is used again and again, by how many it has.

python -m benchmarks.hot [--json] [--challenges N] [--answers N] [--storage external|extended]

Rounds of batches, each with an answer of one respondent to each of N challenges, on an embedded stack of their own: a
round is posted at once, and timed until it is graded.
"""

import argparse
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.console import Console
from sqlalchemy import text

from benchmarks.fleet.crowd import OPTIONS, Crowd
from benchmarks.fleet.run import settle
from benchmarks.fleet.stack import PROJECT, Stack, running

BATCHES = 100
"""Of a round."""
POSTERS = 8
RIGHT = 0.8
STEPS = (300, 1000, 3000, 10_000, 30_000)
"""Answers of a challenge up to which rounds are told together."""
POLL = 0.02
"""Seconds between two looks at what waits."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hot", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print the figures as JSON on the last line")
    parser.add_argument("--challenges", type=int, default=100)
    parser.add_argument("--answers", type=int, default=3000, help="to each challenge")
    parser.add_argument("--storage", choices=("external", "extended"), default="external", help="of consensus.packed")
    chosen = parser.parse_args()
    if chosen.answers > STEPS[-1]:
        parser.error(f"--answers: at most {STEPS[-1]:,}")
    console = Console(stderr=True, highlight=False)
    found: dict[int, list[float]] = {step: [] for step in STEPS}
    with TemporaryDirectory(prefix="touchstone-") as home, running(Path(home) / "fleet", Crowd(0, 1, 1)) as stack:
        with stack.engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE consensus ALTER COLUMN packed SET STORAGE {chosen.storage}"))
        for stored in range(0, chosen.answers, BATCHES):
            rate = BATCHES * chosen.challenges / _round(stack, stored, chosen.challenges)
            console.print(f"{stored:,} answers to each challenge: {rate:,.0f} answers/s")
            found[next(step for step in STEPS if stored < step)].append(rate)
    rates = {f"below {step}": round(median(some)) for step, some in found.items() if some}
    console.print(rates)
    if chosen.json:
        print(json.dumps({"challenges": chosen.challenges, "storage": chosen.storage, "answers_per_second": rates}))


def _round(stack: Stack, stored: int, challenges: int) -> float:
    """Seconds until a round is graded."""
    choose = random.Random(stored)
    bodies = [
        [
            {
                "challenge": f"challenge-{challenge}",
                "respondent": f"respondent-{stored + batch}",
                "answer": OPTIONS[challenge % len(OPTIONS)] if choose.random() < RIGHT else choose.choice(OPTIONS),
            }
            for challenge in range(challenges)
        ]
        for batch in range(BATCHES)
    ]
    with stack.client() as client, ThreadPoolExecutor(POSTERS) as posters:
        began = time.monotonic()
        for reply in posters.map(
            lambda answers: client.post(f"/projects/{PROJECT}/batches", json={"answers": answers}), bodies
        ):
            reply.raise_for_status()
        settle(stack, poll=POLL)
        return time.monotonic() - began


if __name__ == "__main__":
    main()
