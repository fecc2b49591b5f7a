"""A line to Postgres for an event loop, past SQLAlchemy's engine: its layers cost more than what they pass on."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString, cast

import psycopg
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from db import typed_arrays
from db.engine import connection_options


class Line:
    """One connection, on which every statement is a transaction: one round trip commits. One statement at a time.

    It is made when first needed, and anew once it was lost: who finds it lost tries again. Once closed it stays so.

    Args:
        url: SQLAlchemy URL, `postgresql+psycopg://...`.
        name: shown in `pg_stat_activity.application_name`.
        prepared: whether the server may keep statements prepared from one transaction to the next.
    """

    def __init__(self, url: str, *, name: str, prepared: bool = True) -> None:
        self._dialect = make_url(url).get_dialect()()
        _, options = self._dialect.create_connect_args(make_url(url))
        self._options = {**options, **connection_options(name, prepared=prepared)}
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._closed = False

    async def execute(self, statement: LiteralString, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """The rows that a statement gives, once it is committed; arrays among its parameters are of `db.typed_arrays`.

        Raises:
            DBAPIError: SQLAlchemy's, as everywhere else.
        """
        try:
            if self._connection is None or self._connection.closed:
                self._connection = await self._connect()
            cursor = await self._connection.execute(statement, parameters, binary=True)
            return await cursor.fetchall()
        except psycopg.Error as error:
            lost = self._connection is None or self._connection.closed
            raise cast(
                "DBAPIError",
                DBAPIError.instance(
                    statement[:200], None, error, psycopg.Error, connection_invalidated=lost, dialect=self._dialect
                ),
            ) from error

    async def close(self) -> None:
        """Hang up, at once: a statement that is under way ends with an error, and may be committed all the same."""
        self._closed = True
        if self._connection is not None:
            await self._connection.close()

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        if self._closed:
            raise psycopg.OperationalError("the line is closed")
        connection = await psycopg.AsyncConnection.connect(autocommit=True, **self._options)
        typed_arrays.register(connection)
        return connection
