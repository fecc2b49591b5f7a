"""`touchstone demo`: a simulated crowd through a real stack, from the first POST to the final verdicts."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine, inspect

from cli.client import PATIENCE, Client, project_path
from cli.database import translated
from cli.errors import CliError
from cli.refit import ended
from cli.scoreboard import Outcome, show
from cli.simulated import SimulatedCrowd, simulated_crowd
from cli.stack.child import Child
from cli.stack.home import Home, held
from cli.stack.leftovers import end_leftovers
from cli.stack.server import last_line
from cli.stack.services import touchstone
from config.settings import Settings, load
from db import ledger
from db.engine import make_engine
from db.ledger import LedgerRow

BATCHES = 200
CONNECTIONS = 8

_POLL = 0.1
_START_LIMIT = 300.0
_STOP_LIMIT = 120.0
_STANDSTILL = 120.0


def demo(
    challenges: Annotated[int, typer.Option(min=1, help="Challenges, of 4 options each.")] = 2000,
    answers: Annotated[int, typer.Option(min=1, help="Answers to all of them.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Equal seeds make equal crowds.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON on the last line.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Use DATABASE_URL even if it holds tables.")] = False,
) -> None:
    """Start a stack, grade a simulated crowd over HTTP, print what was found, stop everything."""
    home = Home((load().home / "demo").resolve())
    _make_anew(home)
    if not yes:
        _refuse_foreign_tables(load(home=home.path))
    screen = Console(stderr=True, highlight=False, soft_wrap=True)
    with _stack(home, screen) as child:
        try:
            crowd = simulated_crowd(seed, challenges, answers)
        except ValueError as error:
            raise CliError(str(error)) from None
        settings = _ready(home, child, screen)
        with Client(settings.api_url, home.api_key.read_text().strip(), patience=PATIENCE) as client:
            outcome, respondents, row = _play(client, settings, crowd, screen)
    show(outcome, crowd, respondents, row)
    typer.echo(
        f"API docs  {settings.api_url}/docs   Flower  {_flower_url(settings)}   (gone now; `touchstone up` stays)"
    )
    if as_json:
        typer.echo(json.dumps(asdict(outcome)))
    if outcome.lost or outcome.graded != outcome.answers:
        raise typer.Exit(1)


def _refuse_foreign_tables(settings: Settings) -> None:
    if settings.database_url is None:
        return
    engine = make_engine(settings.require_direct_url(), pool_size=1, name="touchstone demo")
    try:
        with translated():
            tables = inspect(engine).get_table_names()
    finally:
        engine.dispose()
    if tables:
        raise CliError("DATABASE_URL: the database holds tables; --yes adds the demo's project to it all the same")


def _make_anew(home: Home) -> None:
    """Empty the home of what an earlier demo may have left there, running or on disk."""
    with held(home.path):
        end_leftovers(home.path)
        for entry in home.path.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


@contextmanager
def _stack(home: Home, screen: Console) -> Iterator[Child]:
    """A stack, starting as a child, since a supervisor has neither torch nor threads. Its home goes with it."""
    child = Child(replace(touchstone(home, "up", "up", "--home", str(home.path)), patience=_STOP_LIMIT))
    failed = False
    try:
        yield child
    except CliError:
        failed = True
        raise
    finally:
        with screen.status("stopping everything"):
            child.stop()
        if failed:
            screen.print(f"the logs are in {home.log('*')}")
        else:
            shutil.rmtree(home.path)


def _ready(home: Home, child: Child, screen: Console) -> Settings:
    """Wait until the whole stack is up; the settings to reach it."""
    deadline = time.monotonic() + _START_LIMIT
    with screen.status("starting PostgreSQL, Valkey, API, workers, schedule and Flower"):
        while home.read_note().get("ready") is not True:
            if child.wait(_POLL) is not None or time.monotonic() > deadline:
                raise CliError(f"the stack did not start: {last_line(child.program.log).removeprefix('error: ')}")
    noted = home.read_note()["settings"]
    settings = load(**{"home": home.path, **noted})  # stronger than an environment that names another stack
    screen.print(f"API docs  {settings.api_url}/docs")
    screen.print(f"Flower    {_flower_url(settings)}   (user {settings.flower_user}, password: {home.flower_password})")
    return settings


def _flower_url(settings: Settings) -> str:
    return f"http://{settings.flower_host}:{settings.flower_port}"


def _play(
    client: Client, settings: Settings, crowd: SimulatedCrowd, screen: Console
) -> tuple[Outcome, list[dict[str, Any]], LedgerRow]:
    """Send the crowd's answers, wait for their grades, refit; what came out of it."""
    project = f"demo-{uuid4().hex[:8]}"
    client.post("projects", {"name": project, "classes": list(crowd.classes)})
    engine = make_engine(settings.require_database_url(), pool_size=1, name="touchstone demo")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=screen) as progress:
            began = time.monotonic()
            _submit(client, project, crowd, progress)
            row = _graded(engine, project, len(crowd.answers), progress)
            seconds = time.monotonic() - began
        with screen.status("refitting"):
            _refit(client, project)
        row = _row(engine, project)
    finally:
        engine.dispose()
    verdicts = {verdict["challenge"]: verdict["answer"] for verdict in client.items(project_path(project, "verdicts"))}
    outcome = Outcome(
        answers=len(crowd.answers),
        graded=row.graded + row.superseded,
        lost=row.lost,
        accuracy=round(crowd.accuracy(verdicts), 4),
        majority_accuracy=round(crowd.majority_accuracy, 4),
        answers_per_second=round(len(crowd.answers) / seconds, 1),
    )
    return outcome, list(client.items(project_path(project, "respondents"))), row


def _submit(client: Client, project: str, crowd: SimulatedCrowd, progress: Progress) -> None:
    sent = progress.add_task("answers sent  ", total=len(crowd.answers))

    def send(numbered: tuple[int, Sequence[Mapping[str, str]]]) -> int:
        number, batch = numbered
        body = "\n".join(map(json.dumps, batch)).encode()
        client.post_batch(project, body, key=f"{project}-{number}", lane="live")
        return len(batch)

    with ThreadPoolExecutor(CONNECTIONS) as connections:
        try:
            for count in connections.map(send, enumerate(crowd.batches(BATCHES))):
                progress.advance(sent, count)
        except BaseException:
            connections.shutdown(cancel_futures=True)
            raise


def _graded(engine: Engine, project: str, answers: int, progress: Progress) -> LedgerRow:
    """Wait until the ledger has nothing waiting any more."""
    bar = progress.add_task("answers graded", total=answers)
    moved, before = time.monotonic(), -1
    while True:
        row = _row(engine, project)
        done = row.accepted - row.waiting
        progress.update(bar, completed=done)
        if row.accepted == answers and row.waiting == 0:
            return row
        if done != before:
            moved, before = time.monotonic(), done
        if time.monotonic() - moved > _STANDSTILL:
            raise CliError(f"grading stands still at {done} of {answers} answers")
        time.sleep(_POLL)


def _row(engine: Engine, project: str) -> LedgerRow:
    with engine.connect() as connection:
        return next(row for row in ledger.read(connection) if row.project == project)


def _refit(client: Client, project: str) -> None:
    run = ended(client, project, client.post(project_path(project, "model-runs")))
    if run["state"] != "done":
        raise CliError(f"the refit {run['state']}: {run['error']}")
