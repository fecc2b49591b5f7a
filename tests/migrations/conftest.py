"""A database to migrate, and alembic pointed at it."""

from collections.abc import Iterator

import pytest
from alembic.config import Config
from sqlalchemy import Engine, NullPool, create_engine

from cli.stack.server import Server
from migrations.configuration import configuration
from tests.databases import empty_database


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """The URL of a database without tables."""
    with empty_database(postgres) as url:
        yield url


@pytest.fixture
def alembic(database: str) -> Config:
    """Alembic's configuration for that database."""
    return configuration(database)


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """An engine that keeps no connection, so that a migration never waits for one."""
    made = create_engine(database, poolclass=NullPool)
    yield made
    made.dispose()
