"""Connections that the server has ended are noticed before anybody works with them."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from config.settings import Settings
from db.engine import make_engine
from tests.waiting import until


@pytest.fixture
def two(settings: Settings) -> Iterator[Engine]:
    made = make_engine(settings.require_database_url(), pool_size=2, name="test-two")
    yield made
    made.dispose()


def pid(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def test_a_connection_is_used_again_as_long_as_it_lasts(engine: Engine, two: Engine) -> None:
    first = pid(two)
    assert pid(two) == first
    with engine.begin() as connection:
        assert connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": first}).scalar_one()
    gone = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
    with engine.connect() as connection:
        until(lambda: connection.execute(gone, {"pid": first}).scalar_one() == 0, "the server has ended it")
    assert pid(two) != first


def test_nor_is_one_that_this_process_has_closed(two: Engine) -> None:
    with two.connect() as connection:
        driver: Any = connection.connection.driver_connection
        first = driver.info.backend_pid
    driver.close()
    assert pid(two) != first
    assert pid(two) == pid(two)
