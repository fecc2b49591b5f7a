"""Postgres as an operator's command sees it: one transaction, and errors in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from cli.errors import CliError
from config.settings import load
from db.engine import make_engine
from db.errors import DatabaseError


@contextmanager
def transaction() -> Iterator[Connection]:
    """A transaction on the configured database, committed when the block ends well.

    Raises:
        CliError: the database is away, has no tables, or refuses.
    """
    settings = load()
    prepared = settings.prepared_statements
    engine = make_engine(settings.require_database_url(), pool_size=1, name="touchstone-cli", prepared=prepared)
    try:
        with translated(), engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def translated() -> Iterator[None]:
    """Say in one line what a database error means.

    Raises:
        CliError: in the place of any error of the database.
    """
    try:
        yield
    except DatabaseError as error:
        raise CliError(str(error)) from None
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.UndefinedTable):
            raise CliError("the database has not been migrated: run `touchstone db upgrade`") from None
        if isinstance(error, OperationalError):
            reason = (str(error.orig).strip().splitlines() or ["no reason given"])[0]
            raise CliError(f"Postgres: {reason}") from None
        raise
