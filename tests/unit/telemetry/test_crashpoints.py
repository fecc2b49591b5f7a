"""Crash points: a process that is armed dies at its point, and nobody else anywhere."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from telemetry import crashpoints
from telemetry.crashpoints import POINTS

CHECKOUT = Path(__file__).parents[3]

WALK = """
import sys
from telemetry import crashpoints, logging
logging.configure()
crashpoints.arm(sys.argv[1])
for step in range(3):
    for point in ("grade-claimed", "grade-committed"):
        print(step, point, flush=True)
        crashpoints.reach(point)
"""


def walk(armed: str) -> tuple[int, list[str]]:
    """How a process ended that came by two points three times, and where it has been."""
    done = subprocess.run(
        [sys.executable, "-c", WALK, armed], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize(
    ("armed", "last"), [("grade-claimed", "0 grade-claimed"), ("grade-committed:3", "2 grade-committed")]
)
def test_an_armed_process_is_killed_at_its_point(armed: str, last: str) -> None:
    status, been = walk(armed)
    assert status == -signal.SIGKILL
    assert been[-1] == last


def test_a_process_that_is_armed_for_another_point_or_for_none_goes_on() -> None:
    for armed in ("", "refit-finished"):
        status, been = walk(armed)
        assert (status, len(been)) == (0, 6)


def test_a_point_that_does_not_exist_cannot_be_armed() -> None:
    with pytest.raises(ValueError, match="there is no crash point 'lunch'"):
        crashpoints.arm("lunch")


def test_the_list_of_points_is_that_of_the_places() -> None:
    places = [
        point
        for package in ("api", "tasks", "workers")
        for module in (CHECKOUT / package).rglob("*.py")
        for point in re.findall(r'crashpoints\.reach\("([a-z-]+)"\)', module.read_text())
    ]
    assert sorted(places) == sorted(POINTS)
