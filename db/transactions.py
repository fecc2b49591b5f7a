"""What a transaction may take of others: how long it waits for them, how long they may have to wait for it."""

from sqlalchemy import Connection, text


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


def alone(connection: Connection, key: int) -> bool:
    """Whether no other transaction holds this advisory lock; if so, this one does until it ends."""
    return bool(connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}).scalar_one())
