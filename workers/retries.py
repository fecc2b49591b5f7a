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
    """A connection was made anew: what was looked up before may be known no longer."""


TRANSIENT = {"40001", "40P01", "55P03"}
"""Serialization failure, deadlock, lock not available."""

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
