"""A short bombardment of the whole stack; the long one is `python -m benchmarks.chaos`."""

import contextlib
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.chaos import disk
from benchmarks.chaos.__main__ import bombard
from benchmarks.chaos.books import Faults
from benchmarks.chaos.load import FEW
from benchmarks.chaos.stack import BrokenError, Stack

SIZE = 400
"""MB of a disk that is filled."""
KINDS = ["worker", "api", "valkey", "postgres", "flush", "clock"]


@pytest.mark.timeout(600)  # a dozen processes start, some of them again: a busy machine takes its time
def test_a_bombarded_stack_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    stack = Stack(tmp_path, debts_from=25)  # claims of a few batches owe statistics, smaller ones write them
    report = bombard(stack, 4, seed=20261124, rate=5.0, kinds=KINDS, console=Console(stderr=True), crowd=FEW)
    assert report.broken is None
    assert report.faults == Faults()
    assert report.contradictions == 0
    assert report.dead == 0
    assert report.unreached == []
    assert report.kills >= 4
    assert report.answers > 0


@pytest.mark.timeout(600)
def test_a_full_disk_loses_nothing_and_leaves_nothing_dead(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    with contextlib.ExitStack() as left:
        try:
            left.enter_context(disk.mounted(stack.database, SIZE))
        except disk.UnmountableError as error:
            pytest.skip(f"no file system can be mounted here: {error}")
        kinds, console = ["full-disk"], Console(stderr=True)
        # With this seed the log of Postgres is used up, too.
        report = bombard(stack, 1, seed=20261129, rate=5.0, kinds=kinds, console=console, rounds=1, crowd=FEW)

    assert report.broken is None
    assert report.faults == Faults()
    assert report.contradictions == 0
    assert report.dead == 0
    assert report.rounds == 1
    assert report.refusals["full-disk"]
    assert (
        max(report.refusals["full-disk"]) < 8
    )  # 2 s that the edge waits for Postgres, and a busy machine; no time-out


def test_a_run_that_breaks_says_how(tmp_path: Path) -> None:
    class Unstartable(Stack):
        def start(self) -> None:
            raise BrokenError("not within 120 s: a stack that is ready")

    report = bombard(Unstartable(tmp_path), 6, seed=1, rate=5.0, kinds=KINDS, console=Console(quiet=True))
    assert report.figures()["broken"] == "BrokenError: not within 120 s: a stack that is ready"
    assert not report.clean
