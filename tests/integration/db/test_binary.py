"""The driver's own cursor, and COPY through it."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from db import binary


def test_rows_come_one_by_one(engine: Engine) -> None:
    query = "SELECT n::bigint, decode(repeat('ab', n), 'hex') FROM generate_series(0, 3) AS n"
    with engine.begin() as connection:
        rows = list(binary.copy_out(connection, query, ["int8", "bytea"]))
        none = list(binary.copy_out(connection, f"{query} WHERE false", ["int8", "bytea"]))
    assert rows == [(n, b"\xab" * n) for n in range(4)]
    assert none == []


def test_errors_are_those_of_every_other_statement(engine: Engine) -> None:
    with engine.begin() as connection:
        with pytest.raises(DBAPIError), connection.begin_nested():
            list(binary.copy_out(connection, "SELECT 1 / 0", ["int4"]))
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_lost_connection_is_told_from_other_errors(engine: Engine) -> None:
    query = "SELECT 1::bigint FROM pg_terminate_backend(pg_backend_pid()), pg_sleep(5)"
    with pytest.raises(DBAPIError) as error, engine.begin() as connection:
        list(binary.copy_out(connection, query, ["int8"]))
    assert error.value.connection_invalidated
    with engine.begin() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
