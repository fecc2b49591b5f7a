"""Back-pressure: whoever would wait too long behind others is told when to come again."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from anyio import to_thread
from sqlalchemy import Engine, text

from api import backlog
from api.backlog import Backlog
from api.problems import ProblemError
from config.settings import Settings
from tests.integration.api.callers import batch, make_key
from tests.integration.api.service import serve
from tests.integration.workers.crowd import execute
from tests.waiting import until

AGE = 60
ROOM = 1_000_000
LATELY = "state = 'graded', finished_at = now() + '1 minute'::interval"
"""Graded in the last seconds, also for a look that comes late as the machine is busy."""


@contextmanager
def caller(engine: Engine, settings: Settings, **limits: float) -> Iterator[httpx.Client]:
    """A client of an API with these limits, with two projects, `one` and `two`."""
    _, secret = make_key(engine, "acme")
    headers = {"Authorization": f"Bearer {secret}"}
    with (
        serve(settings.model_copy(update=limits)) as url,
        httpx.Client(base_url=f"{url}/v1", headers=headers, timeout=30) as client,
    ):
        for name in ("one", "two"):
            assert client.post("projects", json={"name": name, "classes": ["a", "b"]}).status_code == 201
        yield client


def post(client: httpx.Client, project: str = "one", lane: str = "live", key: str | None = None) -> httpx.Response:
    """Once more under the same key, it asks and takes nothing in."""
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(f"projects/{project}/batches", params={"lane": lane}, headers=headers, json=batch(1))


def test_a_lane_that_lags_takes_nothing_in(engine: Engine, settings: Settings) -> None:
    with caller(engine, settings, backlog_age=AGE) as client:
        for key in ("1", "2", "3", "same"):
            assert post(client, key=key).status_code == 202
        execute(engine, f"UPDATE batches SET due_at = now() - '{AGE + 5} seconds'::interval")
        until(lambda: post(client, key="same").status_code == 429, "the lane to be refused")
        reply = post(client)
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert AGE < int(reply.headers["Retry-After"]) < 2 * AGE  # nothing was graded lately: as long as it has waited
        assert post(client, lane="bulk").status_code == 202
        assert post(client, project="two").status_code == 202

        execute(engine, f"UPDATE batches SET {LATELY} WHERE id = (SELECT min(id) FROM batches)")
        until(lambda: post(client).headers.get("Retry-After") == "30", "the rate to tell the wait")  # three wait
        execute(engine, "UPDATE batches SET state = 'graded', finished_at = now() WHERE lane = 'live'")
        until(lambda: post(client).status_code == 202, "the lane to be open again")


@pytest.mark.parametrize(
    "state",
    [
        "due_at = now() + '1 hour'::interval",
        "state = 'claimed', claim_id = gen_random_uuid(), lease_until = now() + '1 hour'::interval",
        "state = 'dead'",
        "state = 'cancelled'",
    ],
)
def test_what_is_not_due_holds_nobody_up(engine: Engine, settings: Settings, state: str) -> None:
    with caller(engine, settings, backlog_age=AGE) as client:
        assert post(client, "one").status_code == post(client, "two").status_code == 202
        old = f"due_at = now() - '{AGE + 5} seconds'::interval"
        execute(engine, f"UPDATE batches SET {old}")
        projects = "(SELECT id FROM projects WHERE name = 'two')"
        assignments = state if state.startswith("due_at") else f"{old}, {state}"
        execute(engine, f"UPDATE batches SET {assignments} WHERE project_id = {projects}")
        until(lambda: post(client, "one").status_code == 429, "the look that sees both")
        assert post(client, "two").status_code == 202


def test_what_was_seen_before_postgres_stalled_is_soon_forgotten(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PAUSE", 0.1)
    monkeypatch.setattr(backlog, "SHARE", 1e-4)
    with caller(engine, settings, backlog_age=AGE) as client:
        assert post(client, key="same").status_code == 202
        execute(engine, f"UPDATE batches SET due_at = now() - '{AGE + 5} seconds'::interval")
        until(lambda: post(client, key="same").status_code == 429, "the lane to be refused")
        execute(engine, f"UPDATE batches SET {LATELY}")
        until(lambda: post(client, key="same").status_code == 202, "the lane to be open again")


def test_without_room_nobody_is_let_in(engine: Engine, settings: Settings) -> None:
    with caller(engine, settings, backlog_bytes=10) as client:
        assert post(client, "one").status_code == 202
        until(lambda: post(client, "two").status_code == 429, "the room to be full")
        assert int(post(client, "two").headers["Retry-After"]) < AGE  # nothing was graded lately, but nothing is old
        execute(engine, "UPDATE batches SET state = 'graded', finished_at = now()")
        until(lambda: post(client, "two").status_code == 202, "there to be room again")


def test_without_room_the_rate_of_all_doors_tells_the_wait(engine: Engine, settings: Settings) -> None:
    with caller(engine, settings, backlog_bytes=ROOM) as client:
        assert post(client, "one", key="same").status_code == 202
        assert post(client, "two").status_code == post(client, "two").status_code == 202
        graded = "(SELECT max(id) FROM batches)"  # one of `two`; of `one` none has been graded lately
        execute(engine, f"UPDATE batches SET {LATELY} WHERE id = {graded}")
        execute(engine, f"UPDATE batches SET size = {ROOM}")
        until(lambda: post(client, "one", key="same").status_code == 429, "the room to be full")
        assert post(client).headers["Retry-After"] == "20"  # two wait, one was graded in ten seconds


def test_bodies_in_backoff_take_room(engine: Engine, settings: Settings) -> None:
    with caller(engine, settings, backlog_age=AGE, backlog_bytes=ROOM) as client:
        assert post(client).status_code == 202
        execute(engine, f"UPDATE batches SET size = {ROOM}, due_at = now() + '1 hour'::interval")
        until(lambda: post(client, "two").status_code == 429, "the room to be full")


def test_requests_that_keep_all_threads_busy_do_not_stop_the_looks(engine: Engine, settings: Settings) -> None:
    with caller(engine, settings, backlog_age=AGE) as client:
        assert post(client).status_code == 202
    execute(engine, f"UPDATE batches SET due_at = now() - '{AGE + 5} seconds'::interval")
    with engine.connect() as connection:
        door = connection.execute(text("SELECT project_id, lane FROM batches")).one()

    async def refuses() -> None:
        looking, slow = Backlog(engine, age=AGE, room=0), threading.Event()
        threads = to_thread.current_default_thread_limiter()
        reads = [asyncio.create_task(to_thread.run_sync(slow.wait)) for _ in range(int(threads.total_tokens))]
        try:
            while threads.available_tokens:  # noqa: ASYNC110 - anyio says nothing when it has none left
                await asyncio.sleep(0.01)
            looking.start()
            async with asyncio.timeout(20):
                while not refused(looking):  # noqa: ASYNC110 - as a client would ask
                    await asyncio.sleep(0.01)
        finally:
            slow.set()
            await asyncio.gather(*reads)
            await looking.stop()

    def refused(looking: Backlog) -> bool:
        try:
            looking.check(*door)
        except ProblemError:
            return True
        return False

    asyncio.run(refuses())
