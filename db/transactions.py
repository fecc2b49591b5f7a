"""What a transaction may take of others, and how it finds its rows."""

from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError


def limit(connection: Connection, *, idle: float, lock: float = 0.0) -> None:
    """Bound this transaction.

    Args:
        idle: seconds after which Postgres ends it, and frees its locks, when its process has stopped in the middle.
        lock: seconds to wait for a lock that another holds, 0 for as long as it takes.
    """
    connection.execute(
        text(
            "SELECT set_config('idle_in_transaction_session_timeout', :idle, true),"
            " set_config('lock_timeout', :lock, true)"
        ),
        {"idle": f"{round(idle * 1000)}ms", "lock": f"{round(lock * 1000)}ms"},
    )


def look_up(connection: Connection) -> None:
    """Let this transaction find its rows by index, whatever Postgres knows of the tables.

    It names thousands of rows by key, in tables of any size. What the planner makes of that depends on when a table was
    last analysed: of a young or fast-growing one it reads all, at a cost that grows with what is stored.
    """
    connection.execute(
        text(
            "SELECT set_config('plan_cache_mode', 'force_generic_plan', true),"
            " set_config('enable_seqscan', 'off', true),"
            " set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)"
        )
    )


def alone(connection: Connection, key: int) -> bool:
    """Whether no other transaction holds this advisory lock; if so, this one does until it ends."""
    return bool(connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}).scalar_one())


_TURN = "(hashtextextended(:name, :key))"


def take_turn(connection: Connection, name: str, key: int, *, patience: float) -> bool:
    """Wait until no other transaction has this turn; then this one has it until it ends. To be called first of all.

    Args:
        patience: seconds to wait, at most.

    Returns:
        Whether this transaction has it.
    """
    turn = {"name": name, "key": key}
    if connection.execute(text(f"SELECT pg_try_advisory_xact_lock{_TURN}"), turn).scalar_one():
        return True
    try:
        with connection.begin_nested():
            limited = text("SELECT set_config('lock_timeout', :lock, true)")
            connection.execute(limited, {"lock": f"{max(1, round(patience * 1000))}ms"})
            connection.execute(text(f"SELECT pg_advisory_xact_lock{_TURN}"), turn)
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable):
            raise
        return False
    return True
