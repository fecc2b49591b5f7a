"""Exports: for how long one may hold its snapshot, and how many of them a tenant may hold."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from sqlalchemy import Connection, Engine, text
from starlette.responses import StreamingResponse

from api import exports
from api.formats import Csv
from api.tables import Contents, Table
from tests.integration.api.callers import Call
from tests.integration.api.test_reading import fill
from tests.waiting import until

CSV = {"Accept": "text/csv"}
BUSY = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'touchstone-export' AND state <> 'idle'")


def working(engine: Engine) -> int:
    """How many exports hold a snapshot."""
    with engine.begin() as connection:
        return int(connection.execute(BUSY).scalar_one())


@contextmanager
def slow(client: httpx.Client, project: str) -> Iterator[Iterator[bytes]]:
    """What a client that reads no further gets of an export that is longer than what the sockets take."""
    with client.stream("GET", f"{project}/verdicts", headers=CSV) as stream:
        pieces = stream.iter_bytes(100)
        assert next(pieces).startswith(b"challenge,")
        yield pieces


def test_a_tenant_takes_half_of_the_connections(
    call: Call, client: httpx.Client, project: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PATIENCE", 0.2)
    other = call("other")
    other.post("/v1/projects", json={"name": "cats", "classes": ["a", "b"]})
    fill(engine, 8000, width=2000)
    with slow(client, project):
        reply = client.get(f"{project}/verdicts", headers=CSV)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert other.get("/v1/projects/cats/verdicts", headers=CSV).status_code == 200
        assert working(engine) == 1
    until(lambda: client.get(f"{project}/verdicts", headers=CSV).status_code == 200, "the place to be free again")


def test_an_export_ends_in_time_however_steadily_it_is_read(
    client: httpx.Client, project: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "LIMIT", 1.0)
    fill(engine, 8000, width=2000)
    with slow(client, project) as pieces:
        until(lambda: working(engine) == 0, "the snapshot to be let go", limit=15)
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)


def test_postgres_ends_an_export_whose_process_stands_still_or_that_does_not_end(engine: Engine) -> None:
    found = []

    def find(connection: Connection) -> Contents[int]:
        found.append(connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one())
        found.append(connection.execute(text("SHOW transaction_timeout")).scalar_one())
        return Contents(Table([], lambda _: [], lambda _: pytest.fail("no row is shown")), 0, (_ for _ in ()))

    with ExitStack() as held:
        reply = exports._begin(engine, find, Csv(), "none", held)
        assert isinstance(reply, StreamingResponse)
    assert found == ["1min", "3630s"]
