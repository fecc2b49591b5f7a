"""Numpy columns from PostgreSQL, and numpy arrays as parameters."""

import numpy as np
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from db import columns

LISTS = """
SELECT n, n::int AS i, n::smallint AS s, n::float8 / 4 AS d, (n / 4.0)::real AS r, n %% 2 = 0 AS b,
       CASE n %% 3 WHEN 0 THEN '{}' WHEN 1 THEN ARRAY[n, n / 2.0]::float8[] ELSE ARRAY[n]::float8[] END AS l,
       ARRAY[n, -n]::float8[] AS e, decode(repeat('ab', n::int), 'hex') AS o
FROM unnest(%(ids)s) AS n ORDER BY n
"""
NUMBERS = "n i s d r b"


def test_every_type_and_lists_of_several_lengths(engine: Engine) -> None:
    ids = np.array([3, 1, 2, 4])
    with engine.connect() as connection:
        table = columns.select(connection, LISTS, {"ids": ids}, numbers=NUMBERS, lists="l e", blobs="o")
    found, lists = table.numbers, table.lists
    assert [column.dtype.str for column in found.values()] == ["<i8", "<i4", "<i2", "<f8", "<f4", "|b1"]
    assert [column.tolist() for column in found.values()] == [
        *[[1, 2, 3, 4]] * 3,
        *[[0.25, 0.5, 0.75, 1.0]] * 2,
        [False, True, False, True],
    ]
    assert table.blobs == {"o": b"\xab" * 10}
    assert lists["l"].count == lists["e"].count == 4
    mixed = {length: (p.tolist(), v.tolist()) for length, (p, v) in lists["l"].by_length.items()}
    assert mixed == {1: ([1], [[2.0]]), 2: ([0, 3], [[1.0, 0.5], [4.0, 2.0]])}
    ((length, (places, values)),) = lists["e"].by_length.items()
    assert (length, places.tolist(), values.tolist()) == (2, [0, 1, 2, 3], [[n, -n] for n in (1, 2, 3, 4)])


def test_no_rows_and_empty_lists(engine: Engine) -> None:
    with engine.connect() as connection:
        empty = columns.select(
            connection, LISTS, {"ids": np.array([], dtype=np.int64)}, numbers=NUMBERS, lists="l e", blobs="o"
        )
        three = columns.select(connection, LISTS, {"ids": np.array([3])}, numbers="n", lists="l").lists
    none, lists = empty.numbers, empty.lists
    assert empty.blobs == {"o": b""}
    assert [column.dtype.str for column in none.values()] == ["<i8", "<i4", "<i2", "<f8", "<f4", "|b1"]
    assert all(len(column) == 0 for column in none.values())
    assert lists["l"] == columns.Lists(0, {})
    assert three["l"] == columns.Lists(1, {})


def test_an_array_as_a_parameter_of_any_statement(engine: Engine) -> None:
    with engine.connect() as connection:
        query = text("SELECT sum(x * y) FROM unnest(CAST(:x AS bigint[]), CAST(:y AS float8[])) AS t(x, y)")
        parameters = {"x": np.arange(4), "y": np.array([[1.0, 2.0], [3.0, 4.0]])}
        assert connection.execute(query, parameters).scalar_one() == 20


def test_errors_are_those_of_every_other_statement(engine: Engine) -> None:
    with pytest.raises(DBAPIError), engine.begin() as connection:
        columns.select(connection, "SELECT 1 / %(zero)s AS n", {"zero": 0}, numbers="n")


def test_several_queries_at_once(engine: Engine) -> None:
    two = columns.Query("SELECT n FROM unnest(%(ids)s) AS n ORDER BY n", {"ids": np.array([2, 1])}, numbers="n")
    none = columns.Query("SELECT 1::bigint AS n, ''::bytea AS o WHERE false", {}, numbers="n", blobs="o")
    wrong = columns.Query("SELECT 1 / %(zero)s AS n", {"zero": 0}, numbers="n")
    with engine.connect() as connection:
        found = columns.select_all(connection, [two, none, two])
        assert [table.numbers["n"].tolist() for table in found] == [[1, 2], [], [1, 2]]
        assert found[1].blobs == {"o": b""}
        assert columns.select_all(connection, []) == []
        with pytest.raises(DBAPIError, match="division by zero"):
            columns.select_all(connection, [two, wrong, two])
    with engine.connect() as connection:  # the same one, which can be used again
        assert columns.select_all(connection, [two])[0].numbers["n"].tolist() == [1, 2]
