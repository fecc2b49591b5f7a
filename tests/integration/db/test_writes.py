"""Statements that are sent without waiting for each other."""

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from db.writes import Writes

INSERT = text("INSERT INTO t SELECT unnest(CAST(:numbers AS int[]))")


def wrong(expected: int) -> None:
    raise LookupError(expected)


def test_they_are_done_in_order_when_settled(engine: Engine) -> None:
    counts: list[int] = []
    with engine.begin() as connection:
        connection.execute(text("CREATE TEMP TABLE t (n int PRIMARY KEY) ON COMMIT DROP"))
        with Writes(connection) as writes:
            for first in (0, 10, 20):
                writes.send(INSERT, {"numbers": [first, first + 1]}, counts.append)
            writes.send(text("DELETE FROM t WHERE n < :n"), {"n": 11}, counts.append)
        assert counts == [2, 2, 2, 3]
        assert connection.scalars(text("SELECT n FROM t ORDER BY n")).all() == [11, 20, 21]
        with Writes(connection) as writes:
            writes.send(INSERT, {"numbers": [1]})
        assert connection.scalars(text("SELECT count(*) FROM t")).one() == 4


def test_a_statement_that_fails_is_told_and_can_be_rolled_back(engine: Engine) -> None:
    def fail(connection: Connection) -> None:
        with Writes(connection) as writes:  # told at the next statement, or at the end
            writes.send(INSERT, {"numbers": [1, 1]})
            writes.send(INSERT, {"numbers": [2]})

    with engine.connect() as connection:
        with connection.begin() as transaction:
            connection.execute(text("CREATE TEMP TABLE t (n int PRIMARY KEY) ON COMMIT DROP"))
            with pytest.raises(IntegrityError):
                fail(connection)
            transaction.rollback()
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_check_that_finds_something_wrong_is_told(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TEMP TABLE t (n int PRIMARY KEY) ON COMMIT DROP"))
        with pytest.raises(LookupError), Writes(connection) as writes:
            writes.send(INSERT, {"numbers": [1, 2]}, wrong)
        assert connection.execute(text("SELECT count(*) FROM t")).scalar_one() == 2


def test_an_error_of_the_block_leaves_the_connection_free(engine: Engine) -> None:
    with engine.connect() as connection:

        def err() -> None:
            with connection.begin(), Writes(connection) as writes:
                writes.send(text("CREATE TABLE t (n int PRIMARY KEY)"), {})
                writes.send(INSERT, {"numbers": [1, 1]})
                raise LookupError

        with pytest.raises(LookupError):
            err()
        assert connection.execute(text("SELECT to_regclass('t')")).scalar_one() is None


def test_a_lost_connection_is_told_from_other_errors(engine: Engine) -> None:
    with pytest.raises(DBAPIError) as error, engine.begin() as connection, Writes(connection) as writes:
        writes.send(text("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)"), {})
    assert error.value.connection_invalidated
    with engine.begin() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
