"""Doing the same again where that may work: after conflicts between transactions, and after a lost connection."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError

from telemetry import logging
from workers.scheme import OutgrownError

log = logging.get(__name__)

T = TypeVar("T")


class ForgottenError(Exception):
    """The server may be another one by now: what was looked up before may be known no longer."""


TRANSIENT = {"40001", "40P01", "55P03"}
"""Serialization failure, deadlock, lock not available."""
NO_MEMORY = "53200"
SHORTAGE = "53"
"""What SQLSTATEs of insufficient resources begin with: disk full, out of memory, too many connections."""

TRIES = 4


def through_conflicts(action: Callable[[], T], *, limit: float) -> T:
    """Do it, again after what passes by itself: conflicts a few times, a lost connection for `limit` seconds.

    The action opens and closes its own transactions and finds out by itself what an earlier try has committed.
    """
    give_up = time.monotonic() + limit
    conflicts = 0
    while True:
        try:
            return action()
        except (DBAPIError, OutgrownError, ForgottenError) as error:
            if not _lost(error):
                conflicts += 1
                if conflicts == TRIES or not _transient(error):
                    raise
            if time.monotonic() > give_up:
                raise
            log.warning("tried again", error=line(error))
            time.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - jitter


def until_room(action: Callable[[], T], *, limit: float) -> T:
    """The same, and again for `limit` seconds when Postgres has no room for it, too."""
    give_up = time.monotonic() + limit
    while True:
        try:
            return through_conflicts(action, limit=limit)
        except DBAPIError as error:
            if not short(error) or time.monotonic() > give_up:
                raise
            log.warning("no room yet", error=line(error))
            time.sleep(random.uniform(0.2, 0.5))  # noqa: S311 - jitter


def short(error: Exception) -> bool:
    """Whether Postgres lacks the disk, the memory or the connections: nothing is wrong with what it was asked to do."""
    return (_code(error) or "").startswith(SHORTAGE)


def out_of_memory(error: Exception) -> bool:
    """Whether it is memory that Postgres lacks: less at once may do."""
    return _code(error) == NO_MEMORY


def line(error: Exception) -> str:
    """What went wrong, on one line."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return f"{type(cause).__name__}: {cause}".splitlines()[0][:500]


def _lost(error: Exception) -> bool:
    """Whether the connection broke, or could not be made: then the server has sent no code."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or (isinstance(error, OperationalError) and _code(error) is None)


def _transient(error: Exception) -> bool:
    return isinstance(error, OutgrownError | ForgottenError) or _code(error) in TRANSIENT


def _code(error: Exception) -> str | None:
    return getattr(getattr(error, "orig", None), "sqlstate", None)
