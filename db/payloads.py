"""The daily partitions that bodies wait in."""

from datetime import date, timedelta

from sqlalchemy import Connection, text

AHEAD = 3
"""Days for which partitions are made before they are needed."""


def _name(day: date) -> str:
    return f"payloads_{day:%Y%m%d}"


def make_partitions(connection: Connection) -> None:
    """Make the partitions of today and the next days, by Postgres's clock."""
    today = connection.execute(text("SELECT (now() AT TIME ZONE 'UTC')::date")).scalar_one()
    existing = set(_partitions(connection))
    for day in (today + timedelta(days=offset) for offset in range(AHEAD + 1)):
        # Rows that fell into the default partition keep their day there: a partition cannot be made around them.
        stray = text("SELECT EXISTS (SELECT 1 FROM payloads_default WHERE accepted_on = :day)")
        if day not in existing and not connection.execute(stray, {"day": day}).scalar_one():
            connection.execute(
                text(
                    f"CREATE TABLE {_name(day)} PARTITION OF payloads"
                    f" FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
                )
            )


def drop_partitions(connection: Connection, keep_days: int) -> list[date]:
    """Drop days older than `keep_days` of which every batch has ended for good; returns them."""
    today = connection.execute(text("SELECT (now() AT TIME ZONE 'UTC')::date")).scalar_one()
    dropped = []
    oldest = today - timedelta(days=keep_days)
    for day in _partitions(connection):
        if day < oldest and _ended(connection, day):
            connection.execute(text(f"DROP TABLE {_name(day)}"))
            dropped.append(day)
    return dropped


def clear_default(connection: Connection, keep_days: int) -> None:
    """Delete bodies older than `keep_days` that found no partition of their day and that nothing needs any more."""
    statement = f"""
        DELETE FROM payloads_default p USING batches b
        WHERE b.id = p.batch_id AND NOT ({_NEEDED})
        AND p.accepted_on < (now() AT TIME ZONE 'UTC')::date - CAST(:days AS int)
    """
    connection.execute(text(statement), {"days": keep_days})


_NEEDED = """
b.state IN ('waiting', 'claimed', 'dead')
OR EXISTS (SELECT 1 FROM failures f WHERE f.batch_id = b.id AND f.state = 'dead')
"""
"""Dead batches and dead answers can be revived."""


def _ended(connection: Connection, day: date) -> bool:
    """Whether nothing that came on this day may still need its body."""
    query = f"SELECT NOT EXISTS (SELECT 1 FROM {_name(day)} p JOIN batches b ON b.id = p.batch_id WHERE {_NEEDED})"
    return bool(connection.execute(text(query)).scalar_one())


def _partitions(connection: Connection) -> list[date]:
    query = text(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'payloads'::regclass AND c.relname ~ '^payloads_[0-9]{8}$' ORDER BY 1"
    )
    return [date.fromisoformat(name.removeprefix("payloads_")) for name in connection.execute(query).scalars()]
