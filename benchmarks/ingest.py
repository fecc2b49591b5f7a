"""What taking batches in costs: the web framework's share, and the whole of it.

Each contender is one uvicorn process on one core that takes POSTs of 100 answers; the load comes from raw sockets on
another core, so that the client's own cost is small and the same for all. The frameworks do equal work: read the body,
decode and check it, reply. `touchstone` is the API as it runs, with group commit into an embedded PostgreSQL that syncs
to disk and finds its processor time where it can. Rounds are interleaved and medians reported; compare ratios, and only
those of one run.

    python -m benchmarks.ingest [--seconds 3] [--rounds 5] [--connections 32] [--only NAME ...] [--json]
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from alembic import command
from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from api import answers
from api.app import create_app
from api.doors import Door
from api.ingest import PATH, Reply
from api.schemas.project import ProjectCreation
from cli.stack.postgres import embedded_postgres
from cli.stack.valkey import embedded_valkey
from config.settings import Settings, load
from db import keys, projects, tenants
from db.bodies import JSON
from db.engine import make_engine
from migrations.configuration import configuration
from telemetry import logging

ANSWERS = 100
CLASSES = ("cat", "dog", "bird", "fish")
BODY = json.dumps(
    {
        "answers": [
            {
                "challenge": f"challenge-{index:06d}",
                "respondent": f"respondent-{index % 20:04d}",
                "answer": CLASSES[index % 4],
            }
            for index in range(ANSWERS)
        ]
    }
).encode()
DOOR = Door(1, frozenset(CLASSES), ", ".join(CLASSES))


def take(body: bytes, project: str) -> Response:
    """The same work for every framework."""
    checked = answers.check(body, JSON, DOOR, limit=10_000)
    reply = msgspec.json.encode(Reply("0", project, "live", checked.answers, ()))
    return Response(reply, 202, media_type=JSON)


async def take_request(request: Request) -> Response:
    """An endpoint as Starlette wants it."""
    return take(await request.body(), request.path_params["project"])


class AnswerModel(BaseModel):
    """An answer as FastAPI users usually declare it."""

    challenge: str
    respondent: str
    answer: str


class BatchModel(BaseModel):
    """A body as FastAPI users usually declare it."""

    answers: list[AnswerModel]


def fastapi_model() -> FastAPI:
    """FastAPI with a pydantic parameter."""
    app = FastAPI()

    @app.post(PATH, status_code=202)
    async def ingest(project: str, batch: BatchModel) -> dict[str, Any]:
        return {"id": "0", "project": project, "answers": len(batch.answers), "rejected": []}

    return app


def fastapi_raw() -> FastAPI:
    """A FastAPI route that reads the body itself."""
    app = FastAPI()

    @app.post(PATH)
    async def ingest(project: str, request: Request) -> Response:
        return take(await request.body(), project)

    return app


def starlette() -> Starlette:
    """Starlette alone."""
    return Starlette(routes=[Route(PATH, take_request, methods=["POST"])])


def mixed() -> FastAPI:
    """A FastAPI application whose hot route is Starlette's."""
    app = FastAPI()
    app.router.routes.insert(0, Route(PATH, take_request, methods=["POST"]))

    @app.get(PATH)
    async def list_batches(project: str) -> str:
        return project

    return app


FRAMEWORKS: dict[str, Callable[[], Any]] = {
    "starlette": starlette,
    "mixed": mixed,
    "fastapi-raw": fastapi_raw,
    "fastapi-model": fastapi_model,
}
WHOLE = "touchstone"
NAMES = (*FRAMEWORKS, WHOLE)


def serve(name: str) -> None:
    """Be the server: say the port on the first line, then serve until killed."""
    logging.configure("error")
    with ExitStack() as stack:
        if name == WHOLE:
            settings, key = stack.enter_context(whole_stack())
            app = create_app(settings)
        else:
            app, key = FRAMEWORKS[name](), ""
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        print(json.dumps({"port": listener.getsockname()[1], "key": key}), flush=True)
        pin(0)
        config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="error", access_log=False)
        uvicorn.Server(config).run([listener])


@contextmanager
def whole_stack() -> Iterator[tuple[Settings, str]]:
    """PostgreSQL and Valkey with a project, and a key that may submit to it."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="touchstone-")))
        postgres = stack.enter_context(embedded_postgres(home / "postgres"))
        valkey = stack.enter_context(embedded_valkey(home / "valkey"))
        settings = load(home=home, database_url=postgres.url, redis_url=valkey.url)
        command.upgrade(configuration(settings.require_database_url()), "head")
        engine = make_engine(settings.require_database_url(), pool_size=1, name="benchmark")
        with engine.begin() as connection:
            tenant = tenants.create(connection, "bench")
            project = ProjectCreation(name="bench", classes=list(CLASSES))
            projects.create(connection, tenant.id, project.new())
            _, key = keys.create(connection, tenant.id, "bench", ["submit"])
        engine.dispose()
        yield settings, key


def pin(core: int) -> None:
    """Stay on one core, where the system lets us."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


@contextmanager
def running(name: str) -> Iterator[tuple[int, bytes]]:
    """A server of this kind: its port, and the request to send to it."""
    command_line = [sys.executable, "-m", "benchmarks.ingest", "--serve", name]
    with subprocess.Popen(command_line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = json.loads(process.stdout.readline())
            headers = ["Host: localhost", f"Content-Type: {JSON}", f"Content-Length: {len(BODY)}"]
            headers += [f"Authorization: Bearer {found['key']}"] if found["key"] else []
            path = PATH.format(project="bench")
            yield found["port"], "\r\n".join([f"POST {path} HTTP/1.1", *headers, "", ""]).encode() + BODY
        finally:
            process.terminate()


async def load_for(port: int, request: bytes, seconds: float, connections: int) -> dict[str, float]:
    """Post as fast as the replies come."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (start := time.perf_counter()) < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 202 " not in head[:16]:
                raise RuntimeError(head.decode())
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - start)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(one() for _ in range(connections)))
    times.sort()
    return {"requests_per_second": len(times) / seconds, "p99_ms": 1000 * times[int(0.99 * len(times))]}


def measure(names: list[str], rounds: int, seconds: float, connections: int) -> dict[str, dict[str, float]]:
    """Medians over interleaved rounds."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(running(name)) for name in names}
        for port, request in servers.values():
            with asyncio.Runner() as runner:
                runner.run(load_for(port, request, 1.0, connections))  # warm
        for _ in range(rounds):
            for name, (port, request) in servers.items():
                with asyncio.Runner() as runner:
                    results[name].append(runner.run(load_for(port, request, seconds, connections)))
    return {
        name: {key: round(statistics.median(run[key] for run in runs), 1) for key in runs[0]}
        for name, runs in results.items()
    }


def main() -> None:
    """Measure and print; the last line is JSON when asked for."""
    parser = argparse.ArgumentParser(description="What taking batches in costs.")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    pin(1)
    found = measure(options.only, options.rounds, options.seconds, options.connections)
    best = max(result["requests_per_second"] for result in found.values())
    for name, result in found.items():
        rate = result["requests_per_second"]
        print(
            f"{name:14} {rate:8.0f} req/s {rate * ANSWERS:10.0f} answers/s {rate / best:6.2f} p99 {result['p99_ms']} ms"
        )
    if options.json:
        print(json.dumps({"answers_per_request": ANSWERS, "cores": os.cpu_count(), "results": found}))


if __name__ == "__main__":
    main()
