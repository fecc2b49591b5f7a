"""Ringing doorbells beside the requests: neither a reply nor the next commit waits for Redis."""

import threading
from typing import Protocol

from telemetry import logging

log = logging.get(__name__)


class Doorbell(Protocol):
    """What can wake the fleet; its methods may block for a second or so and do not raise."""

    def ring(self, project_id: int, lane: str) -> None: ...
    def ring_refit(self, project_id: int) -> None: ...
    def close(self) -> None: ...


class Ringer:
    """One thread that rings. What is asked for while it rings is rung once, however often it was asked for."""

    def __init__(self, doorbell: Doorbell) -> None:
        self._doorbell = doorbell
        self._asked: set[tuple[int, str | None]] = set()
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ring(self, project_id: int, lane: str) -> None:
        """Ring for batches, soon."""
        self._ask((project_id, lane))

    def ring_refit(self, project_id: int) -> None:
        """Ring for a model run, soon."""
        self._ask((project_id, None))

    def stop(self, timeout: float) -> None:
        """Ring what was asked for, then end; blocks for `timeout` seconds at most."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout)

    def _ask(self, door: tuple[int, str | None]) -> None:
        with self._changed:
            self._asked.add(door)
            self._changed.notify()

    def _run(self) -> None:
        while doors := self._next():
            for project_id, lane in doors:
                try:
                    self._ring(project_id, lane)
                except Exception:
                    log.exception("cannot ring", project=project_id, lane=lane)  # the sweep will
        self._doorbell.close()

    def _ring(self, project_id: int, lane: str | None) -> None:
        if lane is None:
            self._doorbell.ring_refit(project_id)
        else:
            self._doorbell.ring(project_id, lane)

    def _next(self) -> set[tuple[int, str | None]]:
        with self._changed:
            while not self._asked and not self._stopping:
                self._changed.wait()
            doors, self._asked = self._asked, set()
            return doors
