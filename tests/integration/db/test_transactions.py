"""What a transaction keeps from others."""

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from db import transactions
from db.questions import Question
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


def test_what_is_asked_alone_holds_nobody_up_for_longer_than_it_may(engine: Engine) -> None:
    """Postgres would wait for ever for the next statement of a pipeline: so it is Postgres that keeps the time."""
    wait = Question("SELECT pg_sleep(60)", {}, lambda _: None)
    with pytest.raises(DBAPIError, match="closed the connection"):
        transactions.ask_alone(engine, [wait], most=0.2)
