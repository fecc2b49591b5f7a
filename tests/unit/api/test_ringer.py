"""Ringing beside the requests."""

import threading

from api.ringer import Ringer


class SlowBell:
    """Rings only when let."""

    def __init__(self) -> None:
        self.rung: list[tuple[int, str | None]] = []
        self.ringing = threading.Event()
        self.let = threading.Event()
        self.closed = False

    def ring(self, project_id: int, lane: str) -> None:
        self.ringing.set()
        self.let.wait(30)
        self.rung.append((project_id, lane))

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
