"""What machines ask is answered while others wait, and leaves nothing waiting behind."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from sqlalchemy import Engine, text

from api.gauges import Gauges
from api.probes import Probe
from api.routes import health
from api.routes.health import health_router
from cli.stack.server import Server
from config.settings import Settings
from tasks.publisher import Publisher
from tests.integration.api.service import serve
from tests.locks import waiting_for_locks
from tests.processes import hanging
from tests.waiting import until


def test_slow_reads_make_no_process_unready(client: httpx.Client, project: str, engine: Engine) -> None:
    with ThreadPoolExecutor(20) as pool, engine.connect() as holder:
        holder.execute(text("LOCK TABLE consensus"))
        for _ in range(20):
            pool.submit(client.get, f"{project}/challenges/c")
        try:
            until(lambda: waiting_for_locks(engine, "touchstone-api") >= 5, "reads that have all their connections")
            assert client.get("/readyz").status_code == 200
        finally:
            holder.rollback()


def test_a_look_is_given_up(client: httpx.Client, engine: Engine) -> None:
    with engine.connect() as holder:
        holder.execute(text("LOCK TABLE alembic_version"))
        try:
            assert client.get("/readyz").json() == {"postgres": False, "redis": True, "migrations": False}
            assert waiting_for_locks(engine, "touchstone-admission") == 0
        finally:
            holder.rollback()
    assert client.get("/readyz").status_code == 200


def test_no_threads_pile_up_behind_a_look_that_hangs(
    settings: Settings, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.2)
    with serve(settings) as url, httpx.Client(base_url=url) as client:
        assert until(lambda: client.get("/readyz").is_success, "it to be ready")
        with hanging(postgres):
            threads = threading.active_count()
            for _ in range(5):
                assert client.get("/readyz").status_code == 503
            assert threading.active_count() <= threads + 1
        until(lambda: client.get("/readyz").is_success, "it to be ready again")


def test_metrics_need_no_thread_of_the_routes(settings: Settings, engine: Engine) -> None:
    app = FastAPI()
    app.include_router(health_router(Probe(engine, Publisher(settings)), Gauges(engine)))

    async def scenario() -> httpx.Response:
        threads = current_default_thread_limiter()
        for _ in range(int(threads.total_tokens)):
            threads.acquire_on_behalf_of_nowait(object())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            async with asyncio.timeout(20):
                return await client.get("/metrics")

    assert "touchstone_answers" in asyncio.run(scenario()).text
