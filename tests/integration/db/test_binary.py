"""COPY BINARY there and back through PostgreSQL."""

import numpy as np
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from db import binary

TYPES = {"a": binary.BIGINT, "b": binary.SMALLINT, "c": binary.BOOLEAN}


def test_there_and_back_over_many_blocks(engine: Engine) -> None:
    n = 300_000
    a, b, c = np.arange(n) - n // 2, (np.arange(n) % 60_000 - 30_000), np.arange(n) % 3 == 0
    optional = [(binary.INTEGER, np.arange(n), np.arange(n) % 2 == 0)]
    with engine.begin() as connection:
        connection.execute(text("CREATE TEMP TABLE t (a bigint, b smallint, c boolean, d int) ON COMMIT DROP"))
        data = binary.dump([(binary.BIGINT, a), (binary.SMALLINT, b), (binary.BOOLEAN, c)], optional)
        assert binary.copy_in(connection, "t", data) == n
        assert connection.execute(text("SELECT sum(d), count(d) FROM t")).one() == (sum(range(0, n, 2)), n // 2)
        back = binary.copy_out(connection, "SELECT a, b, c FROM t ORDER BY a", TYPES)
    np.testing.assert_array_equal(back["a"], a)
    np.testing.assert_array_equal(back["b"], b)
    np.testing.assert_array_equal(back["c"], c)
    assert [column.dtype.str for column in back.values()] == ["<i8", "<i2", "|b1"]


def test_nothing_there_and_back(engine: Engine) -> None:
    with engine.begin() as connection:
        back = binary.copy_out(connection, "SELECT 1::bigint, 1::smallint, true WHERE false", TYPES)
    assert [len(column) for column in back.values()] == [0, 0, 0]


def test_errors_are_those_of_every_other_statement(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TEMP TABLE t (a bigint PRIMARY KEY) ON COMMIT DROP"))
        twice = binary.dump([(binary.BIGINT, np.array([1, 1]))])
        with pytest.raises(IntegrityError), connection.begin_nested():
            binary.copy_in(connection, "t", twice)
        assert connection.execute(text("SELECT count(*) FROM t")).scalar_one() == 0


def test_a_lost_connection_is_told_from_other_errors(engine: Engine) -> None:
    query = "SELECT 1::bigint FROM pg_terminate_backend(pg_backend_pid()), pg_sleep(5)"
    with pytest.raises(DBAPIError) as error, engine.begin() as connection:
        binary.copy_out(connection, query, {"a": binary.BIGINT})
    assert error.value.connection_invalidated
    with engine.begin() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
