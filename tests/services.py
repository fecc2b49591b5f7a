"""Real servers for tests, in folders that go when they do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from cli.stack.postgres import embedded_postgres
from cli.stack.server import Server
from cli.stack.valkey import embedded_valkey
from db.models import Base
from migrations.configuration import configuration
from tests.waiting import until


@contextmanager
def migrated_postgres() -> Iterator[Server]:
    """PostgreSQL at head of migrations."""
    with TemporaryDirectory(prefix="touchstone-") as directory, embedded_postgres(Path(directory)) as server:
        command.upgrade(configuration(server.url.replace("postgresql://", "postgresql+psycopg://", 1)), "head")
        yield server


@contextmanager
def running_valkey() -> Iterator[Server]:
    """Valkey."""
    with TemporaryDirectory(prefix="touchstone-") as directory, embedded_valkey(Path(directory)) as server:
        yield server


def empty(engine: Engine) -> None:
    """Leave nothing in any table. Ids go on: a process that lives longer than a test may remember some of them.

    Processes that look around meanwhile may have to be waited for.
    """
    tables = ", ".join(table.name for table in Base.metadata.sorted_tables)

    def truncated() -> bool:
        try:
            with engine.begin() as connection:
                connection.execute(text(f"TRUNCATE {tables} CASCADE"))
        except OperationalError:  # a deadlock with a sweep, which Postgres has ended
            return False
        return True

    until(truncated, "empty tables")
