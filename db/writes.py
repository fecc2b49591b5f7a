"""Statements sent one behind the other, without waiting for what becomes of each: Postgres works while we go on.

It is the pipeline mode of PostgreSQL's protocol (libpq, "Pipeline Mode"), which a pooler in transaction mode passes on.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from enum import Enum, auto
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, Self, cast

import psycopg
from sqlalchemy import Connection, Dialect, TextClause

from db import binary

Check = Callable[[int], None]
"""Told how many rows a statement has touched; raises if that is wrong."""

_Statement = tuple[TextClause, Mapping[str, Any], Check | None]


class _End(Enum):
    COMPLETE = auto()
    GIVEN_UP = auto()


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


class GivenUpError(Exception):
    """What was to be written will not be."""


class Coming(Writes):
    """What a transaction writes that another thread has, while this one is still finding it out."""

    def __init__(self) -> None:
        self._coming: SimpleQueue[_Statement | _End] = SimpleQueue()

    def send(self, statement: TextClause, parameters: Mapping[str, Any], check: Check | None = None) -> None:
        """Let the other thread send it. What it is given must not change any more."""
        self._coming.put((statement, parameters, check))

    def settle(self) -> None:
        """Nothing is known here of what becomes of it."""

    def end(self) -> None:
        """That was all."""
        self._coming.put(_End.COMPLETE)

    def give_up(self) -> None:
        """None of it is to be written."""
        self._coming.put(_End.GIVEN_UP)

    def pass_on(self, writes: Writes) -> None:
        """In the other thread: send what comes until that was all.

        Raises:
            GivenUpError: none of it is to be written.
        """
        while not isinstance(coming := self._coming.get(), _End):
            writes.send(*coming)
        if coming is _End.GIVEN_UP:
            raise GivenUpError


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
