"""What a transaction keeps from others."""

from sqlalchemy import Connection, Engine, text

from db import transactions
from tests.integration.workers.crowd import scalar


def holds(engine: Engine, backend: int) -> bool:
    """Whether a backend keeps versions of rows from being cleared away."""
    with engine.connect() as connection:
        query = "SELECT backend_xmin IS NOT NULL FROM pg_stat_activity WHERE pid = :pid"
        return bool(scalar(connection, query, pid=backend))


def look(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid() + :zero"), {"zero": 0}).scalar_one())


def test_a_snapshot_is_let_go_of_however_often(engine: Engine) -> None:
    """A driver prepares what it is told often: what is prepared keeps a snapshot until something else is asked."""
    with engine.connect() as connection:
        for _ in range(8):
            with connection.begin():
                backend = look(connection)
                assert holds(engine, backend)
                transactions.let_go(connection)
                assert not holds(engine, backend)
                assert look(connection) == backend
