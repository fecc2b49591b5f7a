"""The console script, run inside this process, against a real API and a real fleet on the test services."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.main import main
from cli.stack.child import Child, Program
from cli.stack.ports import free_port
from cli.stack.server import Server
from cli.stack.services import answering
from config.settings import Settings
from tests import services
from tests.waiting import until


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The JSON on the last line."""
        return json.loads(self.out.splitlines()[-1])


Touchstone = Callable[..., Outcome]


@pytest.fixture
def touchstone(settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Touchstone:
    """`touchstone ARGUMENTS...` with the environment that points to the test services."""
    monkeypatch.setenv("DATABASE_URL", settings.require_database_url())
    monkeypatch.setenv("REDIS_URL", settings.require_redis_url())
    monkeypatch.setenv("TOUCHSTONE_HOME", str(settings.home))

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Outcome(code or 0, printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """PostgreSQL for this folder alone: the processes below stay until the end, and would meddle with others' tests."""
    with services.migrated_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    """Valkey for this folder alone."""
    with services.running_valkey() as server:
        yield server


@dataclass(frozen=True)
class Processes:
    """Starts processes of the stack on the test services."""

    home: Path
    environment: dict[str, str]

    def start(self, name: str, *arguments: str) -> Child:
        """`touchstone ARGUMENTS...`; it ends with this process at the latest."""
        command = [sys.executable, "-m", "cli.main", *arguments]
        log = self.home / f"{name}.log"
        return Child(Program(name=name, command=command, owner=self.home, log=log, environment=self.environment))


@pytest.fixture(scope="session")
def processes(postgres: Server, valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Processes:
    """What starts processes."""
    home = tmp_path_factory.mktemp("processes")
    urls = {"DATABASE_URL": postgres.url, "REDIS_URL": valkey.url}
    return Processes(home, urls | {"TOUCHSTONE_HOME": str(home), "TOUCHSTONE_SWEEP_INTERVAL": "0.5"})


@pytest.fixture(scope="session")
def api_url(processes: Processes) -> Iterator[str]:
    """The URL of a running API. It remembers keys and projects for a moment: give each test names of its own."""
    port = free_port()
    child = processes.start("api", "serve", f"--port={port}")
    url, ready = f"http://127.0.0.1:{port}", answering("127.0.0.1", port, "/readyz")
    try:
        until(lambda: not child.alive or ready(), "an API that is ready")
        assert child.alive, child.program.log.read_text()
        yield url
    finally:
        child.stop()


@pytest.fixture(scope="session")
def fleet(processes: Processes) -> Iterator[None]:
    """A worker that grades bulk batches; live ones wait for ever."""
    child = processes.start("worker", "worker", "--lane=bulk", "--name=cli-tests")
    try:
        yield
    finally:
        child.stop()


@pytest.fixture
def online(touchstone: Touchstone, api_url: str, monkeypatch: pytest.MonkeyPatch) -> Touchstone:
    """`touchstone` with the URL of the API and a key with all scopes."""
    scopes = ["--scope=submit", "--scope=read", "--scope=admin", "--scope=gold"]
    made = touchstone("key", "create", "--tenant=default", "--create-tenant", *scopes, "--json")
    monkeypatch.setenv("TOUCHSTONE_API_URL", api_url)
    monkeypatch.setenv("TOUCHSTONE_API_KEY", made.json["key"])
    return touchstone
