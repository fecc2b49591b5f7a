"""Engines: how this process talks to Postgres."""

import select
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import InvalidatePoolError

from db import arrays, typed_arrays


def make_engine(url: str, *, pool_size: int, name: str, prepared: bool = True) -> Engine:
    """An engine on psycopg 3.

    Its connections keep nothing outside a transaction, so that a pooler in transaction mode may sit between.
    After a rollback the driver drops all statements that it has prepared, and Postgres plans them anew: what is done
    often ends with a commit (`engine.begin()`), be it only reading.

    Args:
        url: SQLAlchemy URL, `postgresql+psycopg://...`.
        pool_size: connections at most; a request beyond waits up to 5 seconds.
        name: shown in `pg_stat_activity.application_name`.
        prepared: whether the server may keep statements prepared from one transaction to the next.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_use_lifo=True,
        hide_parameters=True,  # answers and secrets have no place in tracebacks
        connect_args=connection_options(name, prepared=prepared),
    )

    @event.listens_for(engine, "connect")
    def adapt(driver: Any, _record: object) -> None:
        arrays.register(driver)
        typed_arrays.register(driver)

    @event.listens_for(engine, "checkout")
    def look(driver: Any, _record: object, _proxy: object) -> None:
        if _spoken_to(driver):
            try:
                engine.dialect.do_ping(driver)
            except psycopg.Error as error:
                raise InvalidatePoolError from error

    return engine


def connection_options(name: str, *, prepared: bool) -> dict[str, Any]:
    """What every connection of ours is made with, under this name."""
    connection = {
        "application_name": name,
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    return connection if prepared else connection | {"prepare_threshold": None}


def _spoken_to(driver: "psycopg.Connection[Any]") -> bool:
    """Whether there is something to read on a connection that has been asked nothing.

    That is how the server, or a pooler, says that it has ended it; whoever hears nothing need not ask.
    """
    if driver.closed:
        return True
    ready = select.poll()
    ready.register(driver.fileno(), select.POLLIN)
    return bool(ready.poll(0))
