"""The driver's own cursor in SQLAlchemy's transactions: for results in binary that never become Python objects."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

_GONE = {"57P01", "57P02", "57P03", "25P03", "25P04"}
"""The server says that it ends the connection: it shuts down, or the transaction was idle, or open, for too long."""


def copy_out(connection: Connection, query: str, types: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query by COPY, one at a time, in memory that does not grow with their number.

    Args:
        query: finished SQL: COPY takes no parameters, so only numbers may have been put into it.
        types: PostgreSQL's name of each column's type.
    """
    command = f"COPY ({query}) TO STDOUT (FORMAT BINARY)"
    with cursor(connection, command) as driver, driver.copy(command) as copy:
        copy.set_types(types)
        yield from copy.rows()


@contextmanager
def cursor(connection: Connection, command: str) -> Iterator[psycopg.Cursor[Any]]:
    """A cursor of the driver itself, in this connection's transaction; errors are SQLAlchemy's, as everywhere else."""
    driver = cast("psycopg.Connection[Any]", connection.connection.dbapi_connection)
    with translated(connection, command), driver.cursor() as opened:
        yield opened


@contextmanager
def translated(connection: Connection, command: str) -> Iterator[None]:
    """Let the driver's errors in the block be SQLAlchemy's."""
    driver = cast("psycopg.Connection[Any]", connection.connection.dbapi_connection)
    try:
        yield
    except psycopg.Error as error:
        lost = driver.closed or error.sqlstate in _GONE
        if lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            command[:200], None, error, psycopg.Error, connection_invalidated=lost, dialect=connection.dialect
        ) from error
