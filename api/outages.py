"""Telling a database that is away from a statement that is wrong."""

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_AWAY = ("08", "57P", "53", "25006")
"""SQLSTATEs, by their beginnings: connection lost, stopping or starting, out of resources, demoted to read-only."""
_TOO_LONG = {"57014", "55P03"}
"""SQLSTATEs of what `statement_timeout` cancels, and of what has waited for a lock for `lock_timeout`."""


def is_outage(error: Exception) -> bool:
    """Whether Postgres could not be reached, or went away under the statement."""
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # the client library's own words: only a failed connection is one of these
        return type(error).__name__ in {"OperationalError", "InterfaceError"}
    return str(state).startswith(_AWAY)


def took_too_long(error: Exception) -> bool:
    """Whether Postgres gave a statement up for the time it took."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in _TOO_LONG


def reason(error: Exception) -> str:
    """What a log may say of an error: the first line, without the statement's values."""
    return str(error.orig if isinstance(error, DBAPIError) else error).partition("\n")[0]
