"""`touchstone up`, whole: one stack in one story, since starting it costs seconds."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from cli.stack.home import Home
from cli.stack.ports import free_port
from cli.stack.services import TOUCHSTONE
from tests import waiting

pytestmark = pytest.mark.timeout(400)

PROCESSES = {"postgres", "valkey", "api", "flower", "beat", "worker-1", "worker-refit", "worker-maintenance"}


@pytest.fixture
def home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="touchstone-") as directory:
        yield Home(Path(directory))


@contextmanager
def up(home: Home, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [*TOUCHSTONE, "up", "--home", str(home.path), "--workers", "1", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_PORT"))}
    with (home.path / "up.log").open("a") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool], process: subprocess.Popen[str], home: Home) -> None:
    waiting.until(lambda: process.poll() is not None or condition(), "a stack that gets on", limit=150)
    assert process.poll() is None, (home.path / "up.log").read_text()


def ready(home: Home, process: subprocess.Popen[str]) -> bool:
    note = home.read_note()
    return note.get("pid") == process.pid and note["ready"] is True


def below(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_a_stack_comes_up_mends_itself_survives_kill_9_and_goes(home: Home) -> None:
    port = free_port()
    with up(home, "--port", str(port)) as process:
        until(lambda: ready(home, process), process, home)
        note = home.read_note()
        assert set(note["processes"]) == PROCESSES
        assert note["settings"]["api_url"] == f"http://127.0.0.1:{port}"
        key = home.api_key.read_text()
        assert home.api_key.stat().st_mode & 0o777 == 0o600
        with httpx.Client(base_url=note["settings"]["api_url"], headers={"Authorization": f"Bearer {key}"}) as client:
            assert client.post("/v1/projects", json={"name": "kept", "classes": ["a", "b"]}).status_code == 201

        refused = subprocess.run(
            [*TOUCHSTONE, "up", "--home", str(home.path)], capture_output=True, text=True, check=False
        )
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"error: a stack runs in {home.path} already (process {process.pid})")
        assert len(refused.stderr.splitlines()) == 1

        for name in ("worker-1", "valkey", "postgres"):
            before = note["processes"][name]
            os.kill(before, signal.SIGKILL)
            until(lambda name=name, before=before: home.read_note()["processes"][name] != before, process, home)  # type: ignore[misc]
        until(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200, process, home)

        orphans = below(process)
        process.kill()
        process.wait()
        if sys.platform == "linux":
            assert not psutil.wait_procs(orphans, timeout=30)[1]

    with up(home, "--port", str(port)) as process:
        until(lambda: ready(home, process), process, home)
        assert home.api_key.read_text() == key
        api = home.read_note()["settings"]["api_url"]
        assert httpx.get(f"{api}/v1/projects/kept", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        children = below(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0
        assert not psutil.wait_procs(children, timeout=10)[1]
        assert home.read_note() == {}
