"""Real services for whoever asks: PostgreSQL, migrated by alembic and emptied between tests, and Valkey."""

import os
import signal
from collections.abc import Iterator

import pytest
import redis
from sqlalchemy import Engine

from cli.stack.server import Server
from config.settings import Settings, load
from db.engine import make_engine
from tests import services

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # there are more test processes than cores: who waits must not spin

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs in the background; it is inherited
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """PostgreSQL at head of migrations. A test that stops it must start it again."""
    with services.migrated_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    """Valkey. A test that stops it must start it again."""
    with services.running_valkey() as server:
        yield server


@pytest.fixture
def settings(postgres: Server, valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings that point at the test services; the database is empty but for its tables, and so is Valkey."""
    home = tmp_path_factory.mktemp("home")
    made = load(home=home, database_url=postgres.url, redis_url=valkey.url, log_format="json")
    engine = make_engine(made.require_database_url(), pool_size=1, name="test-cleaner")
    services.empty(engine)
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
