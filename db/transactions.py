"""What a transaction may take of others, and how it finds its rows."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, text

from db import binary
from db.questions import Question, ask, ask_all
from db.writes import bounded

Settings = Mapping[str, str]
"""Of Postgres, by name."""

BY_INDEX: Settings = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Rows are found by index, whatever Postgres knows of the tables.

For transactions that name thousands of rows by key, in tables of any size. What the planner makes of that depends on
when a table was last analysed: of a young or fast-growing one it reads all, at a cost that grows with what is stored.
"""
ROOMY: Settings = {"work_mem": "64MB"}
"""What a large claim writes is sorted out in memory."""
UNHURRIED: Settings = {"synchronous_commit": "off"}
"""The commit does not wait for the disk: for what is made again when the server forgets it."""
WALKED: Settings = {"enable_bitmapscan": "off"}
"""Indexes are walked entry by entry, which marks the dead ones for whoever comes next: for a few live rows in an index
that has all of late."""


def bounds(*, idle: float, lock: float = 0.0) -> Settings:
    """Bounds of a transaction.

    Args:
        idle: seconds after which Postgres ends it, and frees its locks, when its process has stopped in the middle.
        lock: seconds to wait for a lock that another holds, 0 for as long as it takes.
    """
    return {
        "idle_in_transaction_session_timeout": f"{round(idle * 1000)}ms",
        "lock_timeout": f"{round(lock * 1000)}ms",
    }


def adopt(connection: Connection, *settings: Settings) -> None:
    """Let these settings hold until this transaction ends."""
    ask(connection, adoption(*settings))


@contextmanager
def begun(engine: Engine, *settings: Settings) -> Iterator[Connection]:
    """A transaction that adopts settings."""
    with engine.begin() as connection:
        adopt(connection, *settings)
        yield connection


def adoption(*settings: Settings) -> Question[None]:
    """The same, to be asked before other questions."""
    values = {name: value for some in settings for name, value in some.items()}
    return Question(_set(tuple(values.items())), {}, lambda _: None)


def whole(connection: Connection, seconds: float) -> Settings:
    """Seconds that the transaction may last, where Postgres can tell (`db.writes.bounded`)."""
    return {"transaction_timeout": f"{round(seconds * 1000)}ms"} if bounded(connection) else {}


def ask_alone(engine: Engine, questions: Sequence[Question[Any]], *settings: Settings, most: float) -> list[Any]:
    """What each question has found, in a transaction of their own that adopts settings: it is all one message.

    Args:
        most: seconds after which Postgres ends it: whoever has stopped in the middle of a pipeline does not count as
            idle.
    """
    with engine.begin() as connection:
        asked = [adoption(*settings, whole(connection, most)), *questions]
        return ask_all(connection, asked, last=True)[1:]


def let_go(connection: Connection) -> None:
    """Hold no snapshot until the next statement, in a transaction at READ COMMITTED.

    The last statement's portal keeps one until another takes its place. That of a statement without parameters, which
    the driver sends as a simple query unless it is prepared, ends with it ("Message Flow" in PostgreSQL's manual).
    """
    with binary.cursor(connection, "SELECT") as driver:
        driver.execute("SELECT", prepare=False)


def alone(connection: Connection, key: int) -> bool:
    """Whether no other transaction holds this advisory lock; if so, this one does until it ends."""
    return bool(connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}).scalar_one())


@lru_cache(maxsize=64)
def _set(values: tuple[tuple[str, str], ...]) -> str:
    """The values are written out: they are ours, there are few, and each parameter would cost the driver time anew."""
    quoted = ((name, value.replace("'", "''")) for name, value in values)
    return "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in quoted)
