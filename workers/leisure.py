"""How much of its time a process gives to what nobody waits for, while anybody waits for anything."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHARE = 0.05
"""Of the process's time."""


class Leisure:
    """What was done in the last block is paid for with time in which nothing like it is done.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._earned_at = clock()

    @property
    def wait(self) -> float:
        """Seconds until what was done is paid for; 0 when it is."""
        return max(0.0, self._earned_at - self._clock())

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Do something."""
        began = self._clock()
        try:
            yield
        finally:
            ended = self._clock()
            self._earned_at = ended + (ended - began) * (1 / SHARE - 1)
