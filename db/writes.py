"""Statements sent one behind the other, without waiting for what becomes of each: Postgres works while we go on.

It is the pipeline mode of PostgreSQL's protocol (libpq, "Pipeline Mode"), which a pooler in transaction mode passes on.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import lru_cache
from typing import Any, Self, cast

import psycopg
from sqlalchemy import Connection, Dialect, TextClause

from db import binary

Check = Callable[[int], None]
"""Told how many rows a statement has touched; raises if that is wrong."""


class Writes:
    """What one transaction writes, settled at the end of the block. Until then its connection can do nothing else."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pipeline: AbstractContextManager[psycopg.Pipeline] | None = None
        self._sent: list[tuple[psycopg.Cursor[Any], Check | None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.settle()
            return
        with suppress(Exception):  # there is an error already; the connection must be free to roll back
            self.settle()

    def send(self, statement: TextClause, parameters: Mapping[str, Any], check: Check | None = None) -> None:
        """Let Postgres do this behind what was sent before."""
        order = command(statement, self._connection.dialect)
        driver = cast("psycopg.Connection[Any]", self._connection.connection.dbapi_connection)
        with binary.translated(self._connection, order):
            if self._pipeline is None:
                self._pipeline = driver.pipeline()
                self._pipeline.__enter__()
            cursor = driver.cursor()
            cursor.execute(cast("Any", order), parameters)
        self._sent.append((cursor, check))
        if not bounded(self._connection):
            self.settle()

    def settle(self) -> None:
        """Wait until everything is done.

        Raises:
            DBAPIError: a statement has failed, and so have all behind it.
            Exception: what the first of the checks has raised that found something wrong.
        """
        if self._pipeline is None:
            return
        pipeline, self._pipeline = self._pipeline, None
        sent, self._sent = self._sent, []
        with binary.translated(self._connection, "pipeline"):
            pipeline.__exit__(None, None, None)
        for cursor, check in sent:
            if check is not None:
                check(cursor.rowcount)
            cursor.close()


class Held(Writes):
    """What a transaction is going to write that has not begun yet."""

    def __init__(self) -> None:
        self._held: list[tuple[TextClause, Mapping[str, Any], Check | None]] = []

    def send(self, statement: TextClause, parameters: Mapping[str, Any], check: Check | None = None) -> None:
        """Keep it. What it is given must not change any more."""
        self._held.append((statement, parameters, check))

    def settle(self) -> None:
        """Nothing has been sent."""

    def pass_on(self, writes: Writes) -> None:
        """Send all of it."""
        for statement, parameters, check in self._held:
            writes.send(statement, parameters, check)


def bounded(connection: Connection) -> bool:
    """Whether this server can end a transaction of a process that has stopped in the middle of a pipeline.

    While it waits for the next statement there it does not count as idle; `transaction_timeout` (PostgreSQL 17) ends it
    all the same. Older servers are asked for one statement at a time.
    """
    return (connection.dialect.server_version_info or (0,)) >= (17,)


@lru_cache(maxsize=64)
def command(statement: TextClause, dialect: Dialect) -> str:
    """A statement as the driver wants it."""
    return str(statement.compile(dialect=dialect))
