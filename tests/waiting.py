"""Waiting on a condition, never on a clock."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LIMIT = 60.0
"""Seconds after which a test gives up: generous, since machines are shared."""


def until(condition: Callable[[], T | None], what: str, *, limit: float = LIMIT) -> T:
    """The first true value of the condition.

    Raises:
        AssertionError: it did not come true in time; the message says what was waited for.
    """
    pause = threading.Event()
    give_up = time.monotonic() + limit
    while time.monotonic() < give_up:
        value = condition()
        if value:
            return value
        pause.wait(0.05)
    raise AssertionError(f"not within {limit:.0f} s: {what}")
