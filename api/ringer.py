"""Ringing doorbells beside the requests: neither a reply nor the next commit waits for Redis."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from telemetry import logging

log = logging.get(__name__)

REST = 0.03
"""Seconds for which a door is left alone whose bell was found up: as long as two commits, each of which may ask for it.
Nobody was free to hear it. What is asked for meanwhile is rung once, at the end."""


class Doorbell(Protocol):
    """What can wake the fleet; its methods may block for a second or so and do not raise.

    Whether a bell was up already is what :meth:`ring` returns.
    """

    def ring(self, project_id: int, lane: str) -> bool: ...
    def ring_refit(self, project_id: int) -> None: ...
    def ring_regrade(self, project_id: int) -> None: ...
    def ask_to_explain(self, project_id: int, challenge_id: int, reply: str, gold: bool, patience: float) -> None: ...
    def close(self) -> None: ...


Ring = tuple[Callable[..., bool | None], tuple[str | float, ...]]


class Ringer:
    """One thread that rings. What is asked for while it rings is rung once, however often it was asked for."""

    def __init__(self, doorbell: Doorbell) -> None:
        self._doorbell = doorbell
        self._asked: set[Ring] = set()
        self._resting: dict[Ring, float] = {}
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ring(self, project_id: int, lane: str) -> None:
        """Ring for batches, soon."""
        self._ask(self._doorbell.ring, project_id, lane)

    def ring_refit(self, project_id: int) -> None:
        """Ring for a model run, soon."""
        self._ask(self._doorbell.ring_refit, project_id)

    def ring_regrade(self, project_id: int) -> None:
        """Ring for gold that has changed, soon."""
        self._ask(self._doorbell.ring_regrade, project_id)

    def ask_to_explain(self, project_id: int, challenge_id: int, reply: str, gold: bool, patience: float) -> None:
        """Ask for an explanation, now."""
        self._ask(self._doorbell.ask_to_explain, project_id, challenge_id, reply, gold, patience)

    def stop(self, timeout: float) -> None:
        """Ring what was asked for, then end; blocks for `timeout` seconds at most."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout)

    def _ask(self, ring: Callable[..., bool | None], *door: str | float) -> None:
        with self._changed:
            self._asked.add((ring, door))
            if (ring, door) not in self._resting:  # else the thread wakes by itself, which is cheaper than being woken
                self._changed.notify()

    def _run(self) -> None:
        while rings := self._next():
            for ring, door in rings:
                try:
                    if ring(*door):
                        self._rest((ring, door))
                except Exception:
                    log.exception("cannot ring", door=door)  # the sweep will
        self._doorbell.close()

    def _rest(self, ring: Ring) -> None:
        with self._changed:
            self._resting[ring] = time.monotonic() + REST

    def _next(self) -> set[Ring]:
        """What to ring now, at the end all that was asked for; nothing once that is done."""
        with self._changed:
            while True:
                now = time.monotonic()
                self._resting = {ring: end for ring, end in self._resting.items() if end > now}
                rings = set(self._asked) if self._stopping else self._asked - self._resting.keys()
                if rings or self._stopping:
                    self._asked -= rings
                    return rings
                self._changed.wait(min(self._resting.values()) - now if self._resting else None)
