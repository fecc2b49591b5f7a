"""Every crash point kills a process at work, and what it leaves behind is taken up as if nothing had happened."""

import asyncio
import multiprocessing
import os
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
from db import claims, runs
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
from workers import grading, house, lease, payment, population, refit, regrade, revision, revisit, sweep
from workers.locked import Locked
from workers.refit import RefitError
from workers.runtime import Runtime

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.integration.test_crashpoints"])

ANSWERS = sorted(crowd(11), key=itemgetter("respondent"))  # later ones to challenges that are there
MORE = ANSWERS[80:100]
GOLD = {f"c{number}": "abc"[number % 3] for number in range(0, 30, 3)}
HALFWAY = [f"{point}:2" for point in (*crashpoints.REFIT, *crashpoints.GOLD) if "chunk" in point or "regrade" in point]
"""Points between the chunks of something larger, the second time that somebody comes there."""
WARM = [f"{point}:2" for point in crashpoints.GRADE]
"""Likewise in a worker that remembers the project: its turns are foreseen, and stored by another thread."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_small(monkeypatch)


def cut_small(patch: pytest.MonkeyPatch) -> None:
    """Let what is done in chunks take several here."""
    patch.setattr(refit, "CHUNK", 8)
    patch.setattr(regrade, "CHUNK", 3)


def work(armed: str, settings: Settings, project: int, key: str, batch: uuid.UUID) -> None:
    """Do what comes by the point, in a process of its own."""
    logging.configure("error", "json")
    crashpoints.arm(armed)
    cut_small(pytest.MonkeyPatch())
    point = armed.partition(":")[0]
    if point in crashpoints.API:
        asyncio.run(post(settings, key, MORE))
        return
    if point in crashpoints.CHANGE:
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
        accept(here.runtime.engine, project, *split(MORE, 10))
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


def succumb(settings: Settings, project: int) -> None:
    """Grade until a batch of more than ten answers is worked out: that kills the process."""
    logging.configure("error", "json")
    here = process.open_process(settings, "touchstone-worker")
    revise = revision.revise

    def deadly(turn: Any, scheme: Any, locked: Locked, *rest: Any, **named: Any) -> revision.Revised:
        if locked.answers.position.max() >= 10:
            time.sleep(0.5)  # whatever goes on beside it gets far
            os.kill(os.getpid(), signal.SIGKILL)
        return revise(turn, scheme, locked, *rest, **named)

    pytest.MonkeyPatch().setattr(revision, "revise", deadly)
    grading.run(here.runtime, project, "live")


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


@pytest.mark.parametrize("armed", [*crashpoints.POINTS, *HALFWAY, *WARM])
def test_a_process_killed_here_loses_nothing(armed: str, engine: Engine, settings: Settings) -> None:
    point = armed.partition(":")[0]
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
        child = _forks.Process(target=work, args=(armed, settings, project, key, batch))
        child.start()
        child.join(60)
    assert child.exitcode == -signal.SIGKILL

    for table, state in (("batches", "claimed"), ("model_runs", "running")):
        execute(engine, f"UPDATE {table} SET lease_until = now() WHERE state = '{state}'")
    if point in crashpoints.API:
        told = asyncio.run(post(settings, key, MORE))
        with engine.connect() as connection:
            assert scalar(connection, "SELECT uid::text FROM batches WHERE idempotency_key = 'once'") == told["id"]
    if point in crashpoints.CHANGE:
        asyncio.run(cancel(settings, key, batch))
    sweep.run(runtime)
    drain(runtime, project)
    regrade.run(runtime, project)
    refit.run(runtime, project)
    row = books(engine, project)
    graded = 100 if point in crashpoints.API or armed in WARM else 70 if point in crashpoints.CHANGE else 80
    assert (row.graded, row.waiting) == (graded, 0)
    with engine.connect() as connection:
        assert scalar(connection, "SELECT count(*) FROM gold WHERE NOT applied") == 0
        assert scalar(connection, "SELECT count(*) FROM model_runs WHERE state <> 'done'") == 0
    runtime.close()


def test_a_batch_that_kills_its_workers_takes_no_other_with_it(engine: Engine, settings: Settings) -> None:
    project = make_project(engine)
    settings = settings.model_copy(update={"claim_batches": 4})
    (deadly,) = accept(engine, project, ANSWERS[:20])
    accept(engine, project, *split(ANSWERS[20:200], 10))

    for _ in range(settings.max_attempts):
        child = _forks.Process(target=succumb, args=(settings, project))
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
        execute(engine, "UPDATE batches SET lease_until = now() WHERE state = 'claimed'")
        with engine.begin() as connection:
            claims.expire(connection, settings.max_attempts)

    with engine.connect() as connection:
        assert scalar(connection, "SELECT array_agg(uid) FROM batches WHERE state = 'dead'") == [deadly]
    runtime = Runtime.open(settings)
    drain(runtime, project)
    runtime.close()
    row = books(engine, project)
    assert (row.dead, row.graded) == (20, row.accepted - 20)
