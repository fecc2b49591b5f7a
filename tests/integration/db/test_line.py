"""A line to Postgres, and what becomes of it when a statement is wrong or the connection is lost."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from config.settings import Settings
from db.line import Line
from db.typed_arrays import Blobs, Ints, Longs, Texts, Uuids
from tests.integration.workers.crowd import scalar
from tests.waiting import until

_TENANT = "INSERT INTO tenants (name) SELECT unnest(%(names)s::text[]) RETURNING name"


def test_each_statement_is_a_transaction(settings: Settings, engine: Engine) -> None:
    async def scene() -> None:
        line = Line(settings.require_database_url(), name="test")
        assert await line.execute(_TENANT, {"names": Texts(["one", "two"])}) == [("one",), ("two",)]
        with engine.connect() as connection:
            assert scalar(connection, "SELECT count(*) FROM tenants WHERE name IN ('one', 'two')") == 2
        with pytest.raises(IntegrityError) as caught:
            await line.execute(_TENANT, {"names": Texts(["three", "one"])})
        assert not caught.value.connection_invalidated
        assert "three" not in str(caught.value.statement)
        assert await line.execute(_TENANT, {"names": Texts(["three"])}) == [("three",)]
        await line.close()

    asyncio.run(scene())


def test_a_lost_connection_is_made_anew(settings: Settings, engine: Engine) -> None:
    async def scene() -> None:
        line = Line(settings.require_database_url(), name="lost")
        ((before,),) = await line.execute("SELECT pg_backend_pid()", {})
        with engine.connect() as connection:
            scalar(connection, f"SELECT pg_terminate_backend({before}, 10000)")
        with pytest.raises(DBAPIError) as caught:
            await line.execute("SELECT pg_backend_pid()", {})
        assert caught.value.connection_invalidated
        ((after,),) = await line.execute("SELECT pg_backend_pid()", {})
        assert after != before
        await line.close()

    asyncio.run(scene())


def test_a_line_that_is_closed_waits_for_nothing_and_stays_closed(settings: Settings, engine: Engine) -> None:
    mine = "FROM pg_stat_activity WHERE application_name = 'closed' AND state = 'active'"

    def asks() -> bool:
        with engine.begin() as connection:
            return bool(scalar(connection, f"SELECT count(*) {mine}"))

    async def scene() -> None:
        line = Line(settings.require_database_url(), name="closed")
        asking = asyncio.create_task(line.execute("SELECT FROM pg_sleep(600)", {}))
        await asyncio.to_thread(until, asks, "the statement to be under way")
        await line.close()
        with pytest.raises(DBAPIError):
            await asking
        with pytest.raises(DBAPIError, match="closed"):
            await line.execute("SELECT 1", {})

    asyncio.run(scene())
    with engine.begin() as connection:
        scalar(connection, f"SELECT pg_terminate_backend(pid) {mine}")


@pytest.mark.parametrize(
    ("column", "kind", "values"),
    [
        (Texts, "text[]", ["", "é\n'\"{},", "NULL"]),
        (Blobs, "bytea[]", [b"", bytes(range(256))]),
        (Uuids, "uuid[]", [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)]),
        (Ints, "integer[]", [0, -1, 2**31 - 1, -(2**31)]),
        (Longs, "bigint[]", [0, -1, 2**63 - 1, -(2**63)]),
    ],
)
def test_columns_arrive_as_what_they_are(
    settings: Settings, column: Callable[[Sequence[Any]], Any], kind: str, values: Sequence[Any]
) -> None:
    async def scene() -> None:
        line = Line(settings.require_database_url(), name="test")
        echo = "SELECT %(column)s, pg_typeof(%(column)s)::text"
        assert await line.execute(echo, {"column": column(values)}) == [(values, kind)]
        assert await line.execute(echo, {"column": column([])}) == [([], kind)]
        await line.close()

    asyncio.run(scene())
