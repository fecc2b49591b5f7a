"""The verdict on a bombardment: what makes it fail."""

import pytest

from benchmarks.chaos.__main__ import Report
from benchmarks.chaos.books import Faults


def recovered(kind: str, *seconds: float, killed: int = 1) -> Report:
    """A report of so many rounds of a kind."""
    report = Report(seed=1)
    report.recovery[kind] += seconds
    report.killed[kind] += killed
    return report


@pytest.mark.parametrize(
    "report",
    [
        Report(1, faults=Faults(lost=1)),
        Report(1, contradictions=1),
        Report(1, dead=1),
        Report(1, broken="BrokenError: not within 120 s: a load"),
        recovered("worker", 1.0, 10.5),
        recovered("grade-claimed", 1.0, killed=0),
    ],
)
def test_whatever_is_not_proved_fails_the_run(report: Report) -> None:
    assert not report.clean


def test_a_crash_point_is_unreached_if_nobody_ever_died_there() -> None:
    assert recovered("grade-claimed", 1.0, 1.0).clean
    assert recovered("grade-claimed", 1.0, 1.0, killed=0).figures()["unreached"] == ["grade-claimed"]
    assert recovered("flush", 1.0, killed=0).clean
