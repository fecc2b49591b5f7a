"""Leisure: what nobody waits for takes its share of the time and no more."""

import pytest

from workers.leisure import SHARE, Leisure


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_costs_its_share(clock: Clock) -> None:
    leisure = Leisure(clock)
    assert leisure.wait == 0
    began, worked = clock.now, 0.0
    while clock.now < began + 1000:
        if leisure.wait:
            clock.now += leisure.wait
        with leisure.spent():
            clock.now += 0.06
            worked += 0.06
    assert worked / (clock.now - began) == pytest.approx(SHARE, rel=0.02)


def test_what_is_done_while_nobody_waits_leaves_no_debt(clock: Clock) -> None:
    leisure = Leisure(clock)
    for _ in range(100):
        with leisure.spent():
            clock.now += 1
    assert leisure.wait == pytest.approx(1 / SHARE - 1)


def test_what_fails_is_paid_for_too(clock: Clock) -> None:
    leisure = Leisure(clock)

    def fail() -> None:
        with leisure.spent():
            clock.now += 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert leisure.wait == pytest.approx(1 / SHARE - 1)
