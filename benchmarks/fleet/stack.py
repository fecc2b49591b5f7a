"""What is measured: the default stack as `touchstone up` starts it, in a new home, with one project."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from sqlalchemy import Engine, text

from benchmarks.fleet.crowd import OPTIONS, Crowd, challenge_keys, truth
from benchmarks.fleet.requests import Requests
from cli.stack.child import Child
from cli.stack.home import Home
from cli.stack.server import last_line
from cli.stack.services import touchstone
from config.settings import Settings, load
from db.engine import make_engine

PROJECT = "fleet"
MEMORY = Path("/dev/shm")
"""Where encoded POSTs wait, if there is such a place."""

_START_LIMIT = 300.0
_STOP_LIMIT = 120.0
_POLL = 0.1
_GOLD_ROWS = 5000


@dataclass(frozen=True)
class Stack:
    """A running stack, and a crowd that answers its project's challenges."""

    settings: Settings
    key: str
    processes: Callable[[], Mapping[str, int]]
    """Process ids by name, at this moment."""
    engine: Engine
    crowd: Crowd
    scratch: Path

    def prepare(self, run: str, posts: int) -> Requests:
        """Encode the crowd's next POSTs, and tell the project what of them is gold."""
        requests = self.encode(run, posts)
        self._gild()
        return requests

    def encode(self, run: str, posts: int) -> Requests:
        """Encode the crowd's next POSTs."""
        path = (MEMORY if MEMORY.is_dir() else self.scratch) / f"touchstone-{os.getpid()}-{run}"
        host = f"{self.settings.host}:{self.settings.port}"
        requests = Requests(path, host=host, target=f"/v1/projects/{PROJECT}/batches", key=self.key, run=run)
        requests.write(self.crowd, posts)
        return requests

    def _gild(self) -> None:
        gold = self.crowd.gold()
        names = [bytes(key).decode() for key in challenge_keys(gold)]
        items = [
            {"challenge": name, "answer": OPTIONS[option]}
            for name, option in zip(names, truth(gold).tolist(), strict=True)
        ]
        with self.client() as client:
            for start in range(0, len(items), _GOLD_ROWS):
                client.post(f"/projects/{PROJECT}/gold", json=items[start : start + _GOLD_ROWS]).raise_for_status()

    def client(self) -> httpx.Client:
        """A client with the key."""
        return httpx.Client(
            base_url=f"{self.settings.api_url}/v1",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=120,
            trust_env=False,
        )

    def scalar(self, query: str, **parameters: object) -> float:
        """The one number that a query gives."""
        with self.engine.connect() as connection:
            return float(connection.execute(text(query), parameters).scalar_one())

    def clients(self) -> Mapping[int, str]:
        """Who is connected to Postgres, by the process id of the backend."""
        query = text("SELECT pid, application_name FROM pg_stat_activity WHERE backend_type = 'client backend'")
        with self.engine.connect() as connection:
            return {row.pid: row.application_name for row in connection.execute(query)}


@contextmanager
def running(home: Path, crowd: Crowd, **settings: object) -> Iterator[Stack]:
    """The default stack with these settings, ready to grade.

    Raises:
        RuntimeError: it does not start.
    """
    ours = Home(home.resolve())
    program = touchstone(ours, "up", "up", "--home", str(ours.path))
    given = {f"TOUCHSTONE_{name.upper()}": str(value) for name, value in settings.items()}
    environment = {**program.environment, **given}
    child = Child(replace(program, patience=_STOP_LIMIT, environment=environment))
    try:
        found = _ready(ours, child)
        engine = make_engine(found.require_database_url(), pool_size=2, name="benchmark")
        try:
            stack = Stack(
                found, ours.api_key.read_text().strip(), lambda: _processes(ours, child), engine, crowd, ours.path
            )
            make_project(stack)
            yield stack
        finally:
            engine.dispose()
    finally:
        child.stop()


def make_project(stack: Stack) -> None:
    """The project that all answers belong to."""
    with stack.client() as client:
        client.post("/projects", json={"name": PROJECT, "classes": list(OPTIONS)}).raise_for_status()


def _ready(home: Home, child: Child) -> Settings:
    deadline = time.monotonic() + _START_LIMIT
    while home.read_note().get("ready") is not True:
        if not child.alive or time.monotonic() > deadline:
            raise RuntimeError(f"the stack did not start: {last_line(child.program.log)}")
        time.sleep(_POLL)
    return load(**{"home": home.path, **home.read_note()["settings"]})


def _processes(home: Home, child: Child) -> Mapping[str, int]:
    return {**home.read_note().get("processes", {}), "supervisor": child.pid}
