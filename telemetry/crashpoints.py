"""Named places, most of them at a commit, where a process can be made to kill itself.

One is at each side of the commits of a posted batch, of whatever else is changed through the API, grades, what becomes
of a batch that fails, leases, revisits, payments, regrades, claims, chunks and ends of refits, and the sweep; after
that of a claim of batches; before those of a lesson, flags of gold, a run that fails, partitions of payloads and the
end of old history.

To prove that dying there loses nothing and doubles nothing. Production arms none: then a place costs one comparison.
"""

import os
import signal
from itertools import count
from typing import Final

from telemetry import logging

log = logging.get(__name__)

API: Final = (
    "batch-before-commit",
    "batch-committed",  # neither rung nor answered
    "batch-rung",  # not answered
)
CHANGE: Final = (
    "change-before-commit",  # a project, gold, a group, a model run, a batch that is cancelled or retried
    "change-committed",  # nobody is rung or answered
)
GRADE: Final = (
    "grade-heard",  # the doorbell is down, nothing is claimed
    "grade-claimed",
    "grade-resolved",  # names have their ids
    "grade-before-commit",
    "grade-committed",
    "grade-before-wake",  # nobody else knows of what is left
    "grade-before-ack",  # the message may come again
)
IDLE: Final = ("revisit-before-commit", "revisit-committed")
DEBT: Final = ("payment-before-commit", "payment-committed")
LEARN: Final = ("lesson-before-commit",)
GOLD: Final = ("regrade-before-commit", "regrade-committed", "flags-before-commit")
REFIT: Final = (
    "refit-before-claim-commit",
    "refit-claimed",
    "refit-before-chunk-commit",
    "refit-chunk-committed",
    "refit-before-finish",
    "refit-finished",  # gold is not flagged
)
SWEEP: Final = ("sweep-before-commit", "sweep-committed", "house-before-commit")
FAULT: Final = (
    "fault-before-commit",  # a claim is renewed, or a batch of it given back or buried
    "fault-committed",
)
LEASE: Final = ("lease-before-commit", "lease-committed")
FAILURE: Final = ("failure-before-commit",)
HISTORY: Final = ("history-before-commit",)
RARE: Final = (*FAULT, *LEASE, *FAILURE, *HISTORY)
"""Where nobody comes as long as all goes well and fast."""
POINTS: Final = (*API, *CHANGE, *GRADE, *IDLE, *DEBT, *LEARN, *GOLD, *REFIT, *SWEEP, *RARE)

_armed: str | None = None
_visits = count(1)
_last = 1


def arm(point: str) -> None:
    """Let this process die at a point: `NAME`, or `NAME:N` for the N-th time that it comes there; empty: at none.

    Raises:
        ValueError: there is no such point.
    """
    global _armed, _visits, _last
    name, _, nth = point.partition(":")
    if name and name not in POINTS:
        raise ValueError(f"there is no crash point {name!r}: {', '.join(POINTS)}")
    _armed, _visits, _last = name or None, count(1), int(nth or 1)


def reach(point: str) -> None:
    """Die here, as by kill -9, if this point is armed and it is time."""
    if point == _armed and next(_visits) == _last:
        log.warning("crash point", point=point, pid=os.getpid())
        os.kill(os.getpid(), signal.SIGKILL)
