"""Real services for whoever asks: PostgreSQL, migrated by alembic and emptied between tests, and Valkey."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from cli.stack.postgres import embedded_postgres
from cli.stack.server import Server
from cli.stack.valkey import embedded_valkey
from config.settings import Settings, load
from db.engine import make_engine
from db.models import Base


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """PostgreSQL at head of migrations. A test that stops it must start it again."""
    with TemporaryDirectory(prefix="touchstone-") as directory, embedded_postgres(Path(directory)) as server:
        config = Config()
        config.set_main_option("script_location", "migrations:")
        config.attributes["url"] = _sqlalchemy(server.url)
        command.upgrade(config, "head")
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    """Valkey. A test that stops it must start it again."""
    with TemporaryDirectory(prefix="touchstone-") as directory, embedded_valkey(Path(directory)) as server:
        yield server


@pytest.fixture
def settings(postgres: Server, valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings that point at the test services; the database is empty but for its tables, and so is Valkey."""
    home = tmp_path_factory.mktemp("home")
    made = load(home=home, database_url=postgres.url, redis_url=valkey.url, log_format="json")
    engine = make_engine(made.require_database_url(), pool_size=1, name="test-cleaner")
    tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    engine.dispose()
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    return made


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """An engine on the empty test database."""
    made = make_engine(settings.require_database_url(), pool_size=8, name="test")
    yield made
    made.dispose()


def _sqlalchemy(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
