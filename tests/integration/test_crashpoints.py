"""Every crash point kills a process at work, and what it leaves behind is taken up as if nothing had happened."""

import asyncio
import multiprocessing
import signal
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from operator import itemgetter
from typing import Any, NoReturn

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
from tests.integration.workers.faulty import fail as broken
from tests.integration.workers.faulty import fault
from workers import grading, house, lease, payment, population, refit, regrade, revisit, sweep
from workers.refit import RefitError
from workers.runtime import Runtime

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.integration.test_crashpoints"])

ANSWERS = sorted(crowd(11), key=itemgetter("respondent"))  # later ones to challenges that are there
GOLD = {f"c{number}": "abc"[number % 3] for number in range(0, 30, 3)}


def work(point: str, settings: Settings, project: int, key: str, batch: uuid.UUID) -> None:
    """Do what comes by the point, in a process of its own."""
    logging.configure("error", "json")
    crashpoints.arm(point)
    if point in crashpoints.API:
        asyncio.run(post(settings, key, ANSWERS[80:100]))
        return
    if point in crashpoints.CANCEL:
        asyncio.run(cancel(settings, key, batch))
        return
    here = process.open_process(settings, "touchstone-worker")
    if point in crashpoints.SWEEP:
        sweep.run(here.runtime)
        house.keep(here.runtime)
    elif point in crashpoints.FAULT:
        grading.run(here.runtime, project, "live")
    elif point in crashpoints.LEASE:
        with lease.kept(here.runtime.engine, lambda _: None, 0.1):
            time.sleep(30)
    elif point in crashpoints.FAILURE:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(refit, "infer", fail)
            refit.run(here.runtime, project)
    elif point in crashpoints.HISTORY:
        house.keep(replace(here.runtime, settings=settings.model_copy(update={"history_days": 1})))
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


def fail(*_: object) -> NoReturn:
    raise RefitError("a fault of the test")


@asynccontextmanager
async def calling(settings: Settings, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API in this process."""
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "once"}
    url = "http://here/v1/projects/project"
    async with (
        app.app.router.lifespan_context(app.app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=url, headers=headers) as client,
    ):
        yield client


async def post(settings: Settings, key: str, answers: list[Answer]) -> dict[str, Any]:
    """Post a batch; returns the reply."""
    async with calling(settings, key) as client:
        reply = await patiently(client.build_request("POST", "/batches", json={"answers": answers}), client)
        assert reply.status_code == 202
        return dict(reply.json())


async def cancel(settings: Settings, key: str, batch: uuid.UUID) -> None:
    async with calling(settings, key) as client:
        reply = await patiently(client.build_request("DELETE", f"/batches/{batch}"), client)
        assert reply.json()["state"] == "cancelled"


async def patiently(request: httpx.Request, client: httpx.AsyncClient) -> httpx.Response:
    """The reply, once there is one that is no "later": a busy machine may take its time."""
    reply = await client.send(request)
    return await patiently(request, client) if reply.status_code == 503 else reply


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
    batch, _ = accept(engine, project, *split(ANSWERS[60:80], 10))
    if point in crashpoints.DEBT:
        drain(runtime, project)
    with engine.begin() as connection:
        runs.request(connection, project, "requested")
    _, key = make_key(engine, "acme")

    if point in crashpoints.HISTORY:
        execute(engine, "UPDATE bulletins SET created_at = created_at - interval '9 days'")
    with fault(engine, "INSERT ON sheets", broken("XX000"), times=9) if point in crashpoints.FAULT else nullcontext():
        child = _forks.Process(target=work, args=(point, settings, project, key, batch))
        child.start()
        child.join(60)
    assert child.exitcode == -signal.SIGKILL

    for table, state in (("batches", "claimed"), ("model_runs", "running")):
        execute(engine, f"UPDATE {table} SET lease_until = now() WHERE state = '{state}'")
    if point in crashpoints.API:
        told = asyncio.run(post(settings, key, ANSWERS[80:100]))
        with engine.connect() as connection:
            assert scalar(connection, "SELECT uid::text FROM batches WHERE idempotency_key = 'once'") == told["id"]
    if point in crashpoints.CANCEL:
        asyncio.run(cancel(settings, key, batch))
    sweep.run(runtime)
    drain(runtime, project)
    regrade.run(runtime, project)
    refit.run(runtime, project)
    row = books(engine, project)
    graded = 100 if point in crashpoints.API else 70 if point in crashpoints.CANCEL else 80
    assert (row.graded, row.waiting) == (graded, 0)
    with engine.connect() as connection:
        assert scalar(connection, "SELECT count(*) FROM gold WHERE NOT applied") == 0
        assert scalar(connection, "SELECT count(*) FROM model_runs WHERE state <> 'done'") == 0
    runtime.close()
