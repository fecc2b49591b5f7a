"""Work spread over threads: in order, never far ahead, ended by the first failure."""

import threading
from collections.abc import Iterator

import pytest

from cli.delivery import bounded


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(bounded(lambda n: n * n, range(100), 4)) == [n * n for n in range(100)]


def test_calls_run_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=10)
    list(bounded(lambda _: together.wait(), range(3), 3))


@pytest.mark.parametrize("concurrency", [1, 4])
def test_items_are_read_as_they_are_needed(concurrency: int) -> None:
    """A file of any length is in memory by a few batches only."""
    read = 0

    def items() -> Iterator[int]:
        nonlocal read
        for number in range(100):
            read += 1
            yield number

    for number in bounded(abs, items(), concurrency):
        assert read <= number + 2 * concurrency


def test_a_failure_is_raised_and_ends_it() -> None:
    begun = []

    def fail(number: int) -> None:
        begun.append(number)
        if number == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        list(bounded(fail, range(1000), 2))
    assert len(begun) < 20


def test_a_failure_waits_for_the_calls_under_way() -> None:
    under_way, ended, failed = threading.Event(), threading.Event(), threading.Event()

    def call(number: int) -> None:
        if number == 0:
            assert under_way.wait(10)
            failed.set()
            raise ValueError("zero")
        under_way.set()
        assert failed.wait(10)
        ended.set()

    with pytest.raises(ValueError, match="zero"):
        list(bounded(call, range(2), 2))
    assert ended.is_set()
