"""Ringing beside the requests."""

import itertools
import threading
import time

from api.ringer import REST, Ringer
from tests.waiting import until


class SlowBell:
    """Rings only when let."""

    def __init__(self) -> None:
        self.rung: list[tuple[int, str | None]] = []
        self.ringing = threading.Event()
        self.let = threading.Event()
        self.closed = False

    def ring(self, project_id: int, lane: str) -> bool:
        self.ringing.set()
        self.let.wait(30)
        self.rung.append((project_id, lane))
        return False

    def ring_refit(self, project_id: int) -> None:
        self.rung.append((project_id, None))

    def ring_regrade(self, project_id: int) -> None:
        self.rung.append((project_id, "regrade"))

    def ask_to_explain(self, project_id: int, challenge_id: int, reply: str, gold: bool, patience: float) -> None:
        self.rung.append((project_id, f"{challenge_id} {reply} {gold} {patience}"))

    def close(self) -> None:
        self.closed = True


def test_what_is_asked_for_while_ringing_is_rung_once() -> None:
    bell = SlowBell()
    ringer = Ringer(bell)
    ringer.start()
    ringer.ring(1, "live")
    assert bell.ringing.wait(30)
    for _ in range(100):
        ringer.ring(1, "live")
        ringer.ring(2, "bulk")
        ringer.ring_refit(1)
        ringer.ring_regrade(1)
    bell.let.set()
    ringer.stop(30)
    assert bell.rung[0] == (1, "live")
    assert sorted(bell.rung[1:], key=str) == [(1, "live"), (1, "regrade"), (1, None), (2, "bulk")]
    assert bell.closed


class UnheardBell(SlowBell):
    """Nobody hears it: whoever rings once more finds it up."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []
        self.let.set()

    def ring(self, project_id: int, lane: str) -> bool:
        self.moments.append(time.monotonic())
        up = (project_id, lane) in self.rung
        super().ring(project_id, lane)
        return up


def found_up(bell: UnheardBell) -> Ringer:
    """Who has found the bell of (1, live) up, and so lets this door rest."""
    ringer = Ringer(bell)
    ringer.start()
    for count in (1, 2):
        ringer.ring(1, "live")
        until(lambda count=count: len(bell.rung) == count, "the bell to be found up")  # type: ignore[misc]
    return ringer


def test_a_door_that_nobody_answers_is_left_alone_for_a_moment() -> None:
    bell = UnheardBell()
    ringer = Ringer(bell)
    ringer.start()
    end = time.monotonic() + 5 * REST
    while time.monotonic() < end:
        ringer.ring(1, "live")
        time.sleep(0)
    asked = time.monotonic()
    ringer.ring(1, "live")
    until(lambda: bell.moments[-1] > asked, "the last to be rung, too")
    gaps = [later - earlier for earlier, later in itertools.pairwise(bell.moments[1:])]
    assert min(gaps) >= REST
    ringer.stop(30)


def test_other_doors_do_not_wait_for_the_one_that_rests() -> None:
    bell = UnheardBell()
    ringer = found_up(bell)
    ringer.ring(1, "live")
    ringer.ring(2, "live")
    until(lambda: (2, "live") in bell.rung, "the other door")
    until(lambda: bell.rung.count((1, "live")) == 3, "the one that rested")
    ringer.stop(30)


def test_who_stops_rings_at_the_doors_that_rest() -> None:
    bell = UnheardBell()
    ringer = found_up(bell)
    ringer.ring(1, "live")
    ringer.stop(30)
    assert bell.rung == [(1, "live")] * 3
    assert bell.closed
