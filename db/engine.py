"""Engines: how this process talks to Postgres."""

from typing import Any

from psycopg.types.array import ListBinaryDumper
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from db import arrays


def make_engine(url: str, *, pool_size: int, name: str, prepared: bool = True) -> Engine:
    """An engine on psycopg 3.

    Its connections keep nothing outside a transaction, so that a pooler in transaction mode may sit between.

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
        pool_pre_ping=True,
        pool_use_lifo=True,
        hide_parameters=True,  # answers and secrets have no place in tracebacks
        connect_args=_connection(name, prepared=prepared),
    )

    @event.listens_for(engine, "connect")
    def adapt(driver: Any, _record: object) -> None:
        arrays.register(driver)

    return engine


def make_writing_engine(url: str, *, name: str, prepared: bool = True) -> AsyncEngine:
    """One connection for an event loop, on which every statement is a transaction: one round trip commits.

    It is not pinged before use: who finds it lost tries again.
    """
    engine = create_async_engine(
        url,
        pool_size=1,
        max_overflow=0,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args=_connection(name, prepared=prepared),
    )
    event.listen(engine.sync_engine, "connect", _send_arrays_in_binary)
    return engine


def _connection(name: str, *, prepared: bool) -> dict[str, Any]:
    connection = {
        "application_name": name,
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    return connection if prepared else connection | {"prepare_threshold": None}


def _send_arrays_in_binary(connection: Any, _record: object) -> None:
    """As text, bodies double in size and cost this process three to five times the processor time."""
    connection.driver_connection.adapters.register_dumper(list, ListBinaryDumper)
