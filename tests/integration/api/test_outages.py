"""What happens when Postgres or Redis is away, and when it is back."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis
from sqlalchemy import Engine, text

from cli.stack.server import Server
from config.settings import Settings
from tests.integration.api.callers import batch
from tests.integration.workers.faulty import fail, fault
from tests.locks import waiting_for_locks
from tests.processes import hanging, stopped
from tests.waiting import until


def count(engine: Engine) -> int:
    with engine.begin() as connection:
        return int(connection.execute(text("SELECT count(*) FROM batches")).scalar_one())


def test_without_postgres_it_says_503_quickly_and_recovers(
    client: httpx.Client, project: str, postgres: Server, engine: Engine
) -> None:
    key = {"Idempotency-Key": "again"}
    assert client.post(f"{project}/batches", json=batch(1)).status_code == 202
    with stopped(postgres):
        reply = client.post(f"{project}/batches", json=batch(2), headers=key, timeout=10)
        assert (reply.status_code, reply.headers["Content-Type"]) == (503, "application/problem+json")
        assert int(reply.headers["Retry-After"]) >= 1
        assert client.get(f"{project}/batches", timeout=10).status_code == 503
        assert client.get("/livez").status_code == 200
        ready = client.get("/readyz", timeout=10)
        assert (ready.status_code, ready.json()["postgres"], ready.json()["redis"]) == (503, False, True)
    assert client.post(f"{project}/batches", json=batch(2), headers=key).status_code == 202
    assert client.get("/readyz").status_code == 200
    assert count(engine) == 2


def test_a_hanging_postgres_hangs_no_request_and_loses_nothing(
    client: httpx.Client, project: str, postgres: Server, engine: Engine
) -> None:
    assert client.post(f"{project}/batches", json=batch(1)).status_code == 202
    with hanging(postgres):
        reply = client.post(f"{project}/batches", json=batch(2), timeout=15)
        assert reply.status_code == 503
        key = {"Idempotency-Key": reply.headers["Idempotency-Key"]}  # whether it is stored will be known under that key
        assert client.get("/readyz", timeout=10).status_code == 503
        assert client.get("/livez").status_code == 200
    until(lambda: client.post(f"{project}/batches", json=batch(2), headers=key).status_code == 202, "it is accepted")
    assert count(engine) == 2


def test_slow_reads_keep_no_batch_out(client: httpx.Client, project: str, engine: Engine) -> None:
    posts = 0

    def let_in_anew() -> bool:
        """Whether batches are accepted for longer than what is known of the project may be used."""
        nonlocal posts
        assert client.post(f"{project}/batches", json=batch(1)).status_code == 202
        posts += 1
        return time.monotonic() > began + 2.5

    with ThreadPoolExecutor(20) as pool, engine.connect() as holder:
        holder.execute(text("LOCK TABLE consensus"))
        reads = [pool.submit(client.get, f"{project}/challenges/c") for _ in range(20)]
        try:
            until(
                lambda: waiting_for_locks(engine, "touchstone-api") >= 5, "reads that have all connections of their own"
            )
            began = time.monotonic()
            until(let_in_anew, "batches to be let in")
        finally:
            holder.rollback()
    assert {read.result().status_code for read in reads} <= {404, 503}
    assert count(engine) == posts


def test_on_a_full_disk_nothing_is_promised(client: httpx.Client, project: str, engine: Engine) -> None:
    with fault(engine, "INSERT ON payloads", fail("53100"), times=2):  # of the group, then of the body alone
        reply = client.post(f"{project}/batches", json=batch(1))
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
    assert count(engine) == 0
    assert client.post(f"{project}/batches", json=batch(1)).status_code == 202


def test_without_redis_batches_are_accepted(client: httpx.Client, project: str, valkey: Server, engine: Engine) -> None:
    with stopped(valkey):
        assert client.post(f"{project}/batches", json=batch(1)).status_code == 202
        ready = client.get("/readyz", timeout=10)
        assert (ready.status_code, ready.json()) == (503, {"postgres": True, "redis": False, "migrations": True})
    assert count(engine) == 1


def test_no_reply_waits_for_a_hanging_redis(client: httpx.Client, project: str, valkey: Server, engine: Engine) -> None:
    with hanging(valkey):
        start = time.monotonic()
        for _ in range(10):  # each ring takes a second to give up
            assert client.post(f"{project}/batches", json=batch(1)).status_code == 202
        assert time.monotonic() - start < 5
    assert count(engine) == 10


def test_the_doorbell_rings_after_the_commit(client: httpx.Client, project: str, settings: Settings) -> None:
    with redis.Redis.from_url(str(settings.redis_url and settings.redis_url.get_secret_value())) as queue:
        queue.flushdb()
        assert client.post(f"{project}/batches?lane=bulk", json=batch(1)).status_code == 202
        until(lambda: queue.llen("bulk") == 1, "the doorbell is in the queue")
        assert client.post(f"{project}/model-runs").status_code == 202
        until(lambda: queue.llen("refit") == 1, "the refit's doorbell is in the queue")


@pytest.mark.parametrize(("revision", "ready"), [("later", True), (None, False)])
def test_a_schema_must_not_be_older_than_the_release(
    client: httpx.Client, engine: Engine, revision: str | None, ready: bool
) -> None:
    """A later one is the next release's, which this one must outlive."""
    assert client.get("/readyz").json() == {"postgres": True, "redis": True, "migrations": True}
    with engine.begin() as connection:
        (head,) = connection.execute(text("DELETE FROM alembic_version RETURNING version_num")).scalars()
        if revision:
            connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})
    try:
        reply = client.get("/readyz")
    finally:
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM alembic_version"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": head})
    assert (reply.status_code, reply.json()["migrations"]) == (200 if ready else 503, ready)
