"""Statements that are sent together and whose results are waited for once.

Each sees what those before it have done, and the transaction that begins with them costs no message of its own. It is
the pipeline mode of PostgreSQL's protocol, as in `db.writes`, where nothing is read.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import Connection, TextClause

from db import binary
from db.writes import bounded, command

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A statement, and what is made of its result."""

    statement: TextClause | str
    """As text it is the driver's, with placeholders `%(name)s`."""
    parameters: Mapping[str, Any]
    read: "Callable[[psycopg.Cursor[Any]], T]"
    binary: bool | None = None
    """Whether the result comes in binary; None: as ever."""


def ask(connection: Connection, question: Question[T]) -> T:
    """What one question has found."""
    (found,) = ask_all(connection, [question])
    return cast("T", found)


def ask_all(connection: Connection, questions: Sequence[Question[Any]], *, last: bool = False) -> list[Any]:
    """What each question has found, in their order.

    Args:
        last: the transaction is committed with them.
    """
    if not questions:
        return []
    driver = cast("psycopg.Connection[Any]", connection.connection.dbapi_connection)
    commands = [_command(connection, question) for question in questions]
    begins = driver.info.transaction_status == TransactionStatus.IDLE
    together = (begins or last or len(questions) > 1) and bounded(connection)
    with binary.translated(connection, "; ".join(commands)), ExitStack() as stack:
        cursors = [stack.enter_context(driver.cursor()) for _ in questions]
        with driver.pipeline() if together else nullcontext():
            for cursor, order, question in zip(cursors, commands, questions, strict=True):
                cursor.execute(cast("Any", order), question.parameters, binary=question.binary)
            if last:
                stack.enter_context(driver.cursor()).execute("COMMIT", prepare=False)
        return [question.read(cursor) for cursor, question in zip(cursors, questions, strict=True)]


def rows(cursor: "psycopg.Cursor[Any]") -> list[dict[str, Any]]:
    """The rows of a result, by name of the column."""
    result = cast("PGresult", cursor.pgresult)
    names = [cast("bytes", result.fname(place)).decode() for place in range(result.nfields)]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _command(connection: Connection, question: Question[Any]) -> str:
    statement = question.statement
    return statement if isinstance(statement, str) else command(statement, connection.dialect)
