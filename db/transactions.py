"""What a transaction may take of others, and how it finds its rows."""

from collections.abc import Mapping, Sequence

from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

Settings = Mapping[str, str]
"""Of Postgres, by name."""

BY_INDEX: Settings = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Rows are found by index, whatever Postgres knows of the tables.

For transactions that name thousands of rows by key, in tables of any size. What the planner makes of that depends on
when a table was last analysed: of a young or fast-growing one it reads all, at a cost that grows with what is stored.
"""
UNHURRIED: Settings = {"synchronous_commit": "off"}
"""The commit does not wait for the disk: for what is made again when the server forgets it."""


def bounds(*, idle: float, lock: float = 0.0) -> Settings:
    """Bounds of a transaction.

    Args:
        idle: seconds after which Postgres ends it, and frees its locks, when its process has stopped in the middle.
        lock: seconds to wait for a lock that another holds, 0 for as long as it takes.
    """
    return {
        "idle_in_transaction_session_timeout": f"{round(idle * 1000)}ms",
        "lock_timeout": f"{round(lock * 1000)}ms",
    }


def adopt(connection: Connection, *settings: Settings) -> None:
    """Let these settings hold until this transaction ends."""
    names, values = _local(settings)
    connection.execute(text(f"SELECT {names}"), values)


def _local(settings: Sequence[Settings]) -> tuple[str, dict[str, str]]:
    """What to select for them to hold, and its parameters."""
    values = {name: value for some in settings for name, value in some.items()}
    return ", ".join(f"set_config('{name}', :{name}, true)" for name in values), values


def alone(connection: Connection, key: int) -> bool:
    """Whether no other transaction holds this advisory lock; if so, this one does until it ends."""
    return bool(connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}).scalar_one())


_TURN = "(hashtextextended(:name, :key))"


def take_turn(connection: Connection, name: str, key: int, *settings: Settings, patience: float) -> bool:
    """Wait until no other transaction has this turn; then this one has it until it ends. To be called first of all.

    Args:
        settings: what is to hold in this transaction, whether it gets the turn or not.
        patience: seconds to wait, at most.

    Returns:
        Whether this transaction has it.
    """
    turn = {"name": name, "key": key}
    names, values = _local(settings)
    if connection.execute(text(f"SELECT pg_try_advisory_xact_lock{_TURN}, {names}"), turn | values).one()[0]:
        return True
    waiting = {"lock_timeout": f"{max(1, round(patience * 1000))}ms"}
    try:
        with connection.begin_nested():
            adopt(connection, waiting)
            connection.execute(text(f"SELECT pg_advisory_xact_lock{_TURN}"), turn)
            adopt(connection, *settings)
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable):
            raise
        return False
    return True
