"""Courtesy: a thread that yields the processor, and nobody else does."""

import os
import signal
import sys
import threading
import time
from contextvars import ContextVar

import pytest
import torch

from workers.courtesy import NICE, SPELL, courteously, resting

bound: ContextVar[str] = ContextVar("bound", default="nothing")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads are as nice as their process")
def test_the_work_is_nice_and_its_threads_are_and_nobody_else() -> None:
    before = niceness()
    found: list[int] = []

    def work() -> int:
        thread = threading.Thread(target=lambda: found.append(niceness()))
        thread.start()
        thread.join()
        return niceness()

    assert courteously(work) == NICE
    assert found == [NICE]
    assert niceness() == before


def test_it_knows_what_its_caller_knows_and_fails_as_the_work_does() -> None:
    def work(left: int, *, right: int) -> tuple[str, int]:
        return bound.get(), left // right

    token = bound.set("something")
    try:
        assert courteously(work, 6, right=3) == ("something", 2)
        with pytest.raises(ZeroDivisionError):
            courteously(work, 6, right=0)
    finally:
        bound.reset(token)


def test_whoever_is_told_to_end_does_not_wait_for_the_work() -> None:
    over = threading.Event()
    before = signal.signal(signal.SIGALRM, lambda *_: sys.exit(1))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(SystemExit):
            courteously(over.wait, 60)
        assert not over.is_set()
    finally:
        signal.signal(signal.SIGALRM, before)
        over.set()


def test_rested_work_finds_the_same_and_rests_between_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr(time, "sleep", rests.append)

    def work(rounds: int) -> float:
        table = torch.ones(400, 400, dtype=torch.float64)
        for _ in range(rounds):
            table = (table @ table) / 400
        return float(table.sum())

    assert resting(work, 4.0)(500) == work(500)
    assert rests, "500 products take longer than a spell"
    assert min(rests) >= 4 * SPELL
    rested = len(rests)
    work(500)
    assert len(rests) == rested, "behind it nothing rests"
