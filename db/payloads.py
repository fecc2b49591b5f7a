"""The daily partitions that bodies wait in."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import Connection, text

from db import transactions

AHEAD = 3
"""Days for which partitions are made before they are needed."""

INLINE = 8160
"""Bytes of a row that stays in one piece, the most there can be: a body apart costs a second table and its index."""

NEEDED = 1000
"""Bodies that are moved when their day is dropped, at most."""


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
                    f" FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}') WITH (toast_tuple_target = {INLINE})"
                )
            )


def old(connection: Connection, keep_days: int) -> list[date]:
    """Days older than `keep_days` that have a partition."""
    today = connection.execute(text("SELECT (now() AT TIME ZONE 'UTC')::date")).scalar_one()
    oldest = today - timedelta(days=keep_days)
    return [day for day in _partitions(connection) if day < oldest]


def needed(connection: Connection, day: date) -> list[int] | None:
    """The batches of a day that may still need their bodies; None when they are more than `NEEDED`.

    They only become fewer: what is graded without a dead answer, or cancelled, stays so.
    """
    if day not in _partitions(connection):
        return []
    query = f"SELECT b.id FROM {_name(day)} p JOIN batches b ON b.id = p.batch_id WHERE {_NEEDED} LIMIT :most"
    found = list(connection.execute(text(query), {"most": NEEDED + 1}).scalars())
    return found if len(found) <= NEEDED else None


def drop(connection: Connection, day: date, needed: Sequence[int]) -> None:
    """Drop a day, unless that has been done.

    Bodies of these batches go into the default partition: so no day is looked through again and again for the sake of
    one dead batch.
    """
    if day not in _partitions(connection):
        return
    name = _name(day)
    transactions.adopt(connection, transactions.BY_INDEX)  # else all of the day may be read for a few bodies
    connection.execute(text(f"ALTER TABLE payloads DETACH PARTITION {name}"))
    moved = "accepted_on = :day AND batch_id = ANY(CAST(:ids AS bigint[]))"
    move = text(f"INSERT INTO payloads SELECT * FROM {name} WHERE {moved}")
    connection.execute(move, {"day": day, "ids": list(needed)})
    connection.execute(text(f"DROP TABLE {name}"))


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


def _partitions(connection: Connection) -> list[date]:
    query = text(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'payloads'::regclass AND c.relname ~ '^payloads_[0-9]{8}$' ORDER BY 1"
    )
    return [date.fromisoformat(name.removeprefix("payloads_")) for name in connection.execute(query).scalars()]
