"""Alembic's environment: one migration at a time, each in its own transaction, never waiting long for a lock."""

import time

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text
from sqlalchemy.schema import SchemaItem

from config.settings import SettingsError, load
from db.models import Base

ADVISORY_LOCK = 0x746F756368  # "touch": the same in every release, so that two releases cannot migrate at once
LOCK_TIMEOUT = "5s"
POLL = 0.2
"""Seconds between two looks whether another migration has ended."""


def _include(item: SchemaItem, name: str | None, kind: str, reflected: bool, other: SchemaItem | None) -> bool:  # noqa: ARG001
    """Leave out the daily partitions: the fleet makes and drops them, no migration does."""
    return not (kind == "table" and reflected and name is not None and name.startswith("payloads_"))


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_object=_include,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _url() -> str:
    url = context.config.attributes.get("url")
    if url is not None:
        return str(url)
    try:
        return load().require_direct_url()
    except SettingsError as error:
        raise SystemExit(f"error: {error}") from None


def _online() -> None:
    engine = create_engine(_url(), poolclass=pool.NullPool, connect_args={"application_name": "touchstone-migrate"})
    with engine.connect() as guard, engine.connect() as connection:
        # Held on a session of its own: each migration commits on the other, and the lock outlives them all. Who has it
        # or waits for it is in no transaction meanwhile: an index that is made concurrently would wait for that.
        while not guard.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_LOCK}).scalar_one():
            guard.commit()
            time.sleep(POLL)
        guard.commit()
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.commit()
        _run(connection)
    engine.dispose()


def _offline() -> None:
    context.configure(url=_url(), target_metadata=Base.metadata, literal_binds=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _offline()
else:
    _online()
