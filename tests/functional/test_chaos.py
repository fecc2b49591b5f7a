"""A short bombardment of the whole stack; the long one is `python -m benchmarks.chaos`."""

from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.chaos.__main__ import bombard
from benchmarks.chaos.books import Faults
from benchmarks.chaos.stack import Stack

KINDS = ["worker", "api", "valkey", "postgres", "flush", "clock"]


@pytest.mark.timeout(600)  # a dozen processes start, some of them again: a busy machine takes its time
def test_a_bombarded_stack_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    report = bombard(Stack(tmp_path), 6, seed=20261124, rate=5.0, kinds=KINDS, console=Console(stderr=True))
    assert report.faults == Faults()
    assert report.contradictions == 0
    assert report.kills >= 6
    assert report.answers > 0
