"""What fits that nobody asked for may cost while answers wait or come in: a tenth of one core, all of them together.

Fits are lessons, and refits by growth, by age, or after changes of gold. What each has cost is noted with it; the next
one may begin when those of late leave room for what it is expected to cost. An idle fleet may fit as it likes.
"""

import time

from sqlalchemy import Connection

from db import claims, fits, populations, runs

SHARE = 0.1
"""Of one core."""
ANSWER = 125e-6
"""Seconds of processor time that a fit costs by answer, Postgres included: expected before one was measured."""
LEAST_WINDOW = 10.0
"""Seconds back that are looked at, at least; longer for what costs more: twice what it takes to earn it."""
HEAD_START = 5.0
"""Seconds that are taken as gone by before the first answer came."""
QUIET = 10.0
"""Seconds without an answer after which a project counts as idle."""
_POSTGRES = 1.3
"""Times as much as the fitting process's own time that a fit costs, with what Postgres does for it."""


def idle(connection: Connection, project_id: int, *, seconds: float = QUIET) -> bool:
    """Whether nothing of the project has come in for so long, and nothing of any project waits."""
    return not claims.fed(connection, project_id, seconds=seconds) and not claims.busy(connection)


def permits(connection: Connection, cost: float) -> bool:
    """Whether a fit that costs so many seconds of processor time may begin while the fleet has work."""
    window = max(LEAST_WINDOW, 2 * cost / SHARE)
    since, spent = fits.spent(connection, window)
    return spent + cost <= SHARE * min(window, HEAD_START + since)


def affords(connection: Connection, project_id: int, *, age: float) -> bool:
    """Whether the project's waiting model run may begin now; else lessons, which cost less, stand in for it.

    Args:
        age: seconds after which a run is replaced whatever that costs.
    """
    found = runs.expected(connection, project_id, age)
    if found is None:
        return True
    cause, old = found
    if cause == "requested" or old or idle(connection, project_id):
        return True
    return permits(connection, ANSWER * populations.progress(connection, project_id).answers)


class Meter:
    """Seconds of processor time since it was made, as they are noted with a fit."""

    def __init__(self) -> None:
        self._began = time.process_time()

    @property
    def cost(self) -> float:
        """What the fit has cost so far."""
        return round(_POSTGRES * (time.process_time() - self._began), 3)
