"""Every crash point kills a process at work, and what it leaves behind is taken up as if nothing had happened."""

import asyncio
import multiprocessing
import signal
from operator import itemgetter
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from api.app import create_app
from config.settings import Settings
from db import runs
from tasks import process
from tasks.app import make_app
from telemetry import crashpoints, logging
from tests.integration.api.callers import make_key
from tests.integration.workers.crowd import (
    Answer,
    accept,
    books,
    crowd,
    drain,
    execute,
    gild,
    make_project,
    scalar,
    split,
)
from workers import house, payment, population, refit, regrade, revisit, sweep
from workers.runtime import Runtime

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.integration.test_crashpoints"])

ANSWERS = sorted(crowd(11), key=itemgetter("respondent"))  # later ones to challenges that are there
GOLD = {f"c{number}": "abc"[number % 3] for number in range(0, 30, 3)}


def work(point: str, settings: Settings, project: int, key: str) -> None:
    """Do what comes by the point, in a process of its own."""
    logging.configure("error", "json")
    crashpoints.arm(point)
    if point in crashpoints.API:
        asyncio.run(post(settings, key, ANSWERS[80:100]))
        return
    here = process.open_process(settings, "touchstone-worker")
    if point in crashpoints.SWEEP:
        sweep.run(here.runtime)
        house.keep(here.runtime)
    elif point in crashpoints.GRADE:
        make_app(settings).loader.import_default_modules()
        from tasks.grade import grade

        grade(project, "live")
    elif point in crashpoints.IDLE:
        revisit.run(here.runtime, project, revisit.Round())
    elif point in crashpoints.DEBT:
        payment.QUIET = 0.0
        payment.run(here.runtime, project)
    elif point in crashpoints.LEARN:
        population.learn(here.runtime, project)
    elif point.startswith("regrade"):
        regrade.run(here.runtime, project)
    else:
        refit.run(here.runtime, project)


async def post(settings: Settings, key: str, answers: list[Answer]) -> dict[str, Any]:
    """Post a batch to an API in this process; returns the reply."""
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "once"}
    async with (
        app.app.router.lifespan_context(app.app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here", headers=headers) as client,
    ):
        reply = await client.post("/v1/projects/project/batches", json={"answers": answers})
        assert reply.status_code == 202
        return dict(reply.json())


@pytest.mark.parametrize("point", crashpoints.POINTS)
def test_a_process_killed_here_loses_nothing(point: str, engine: Engine, settings: Settings) -> None:
    project = make_project(engine)
    if point in crashpoints.DEBT:
        settings = settings.model_copy(update={"debts_from": 1})
    runtime = Runtime.open(settings)
    accept(engine, project, *split(ANSWERS[:60], 10))
    drain(runtime, project)
    gild(engine, project, GOLD)
    if point == "flags-before-commit":
        regrade.run(runtime, project)
    accept(engine, project, *split(ANSWERS[60:80], 10))
    if point in crashpoints.DEBT:
        drain(runtime, project)
    with engine.begin() as connection:
        runs.request(connection, project, "requested")
    _, key = make_key(engine, "acme")

    child = _forks.Process(target=work, args=(point, settings, project, key))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL

    for table, state in (("batches", "claimed"), ("model_runs", "running")):
        execute(engine, f"UPDATE {table} SET lease_until = now() WHERE state = '{state}'")
    if point in crashpoints.API:
        told = asyncio.run(post(settings, key, ANSWERS[80:100]))
        with engine.connect() as connection:
            assert scalar(connection, "SELECT uid::text FROM batches WHERE idempotency_key = 'once'") == told["id"]
    sweep.run(runtime)
    drain(runtime, project)
    regrade.run(runtime, project)
    refit.run(runtime, project)
    row = books(engine, project)
    assert (row.graded, row.waiting) == (100 if point in crashpoints.API else 80, 0)
    with engine.connect() as connection:
        assert scalar(connection, "SELECT count(*) FROM gold WHERE NOT applied") == 0
        assert scalar(connection, "SELECT count(*) FROM model_runs WHERE state <> 'done'") == 0
    runtime.close()
