"""Flower started by the plain `celery` command, with nothing said about it but the settings."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.stack.child import Child, Program
from cli.stack.ports import free_port
from cli.stack.server import Server
from cli.stack.services import answering
from cli.stack.valkey import embedded_valkey
from tests.waiting import until

CELERY = [sys.executable, "-m", "celery", "-A", "tasks", "flower"]


@pytest.fixture(scope="module")
def valkey() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="touchstone-") as directory, embedded_valkey(Path(directory)) as server:
        yield server


@pytest.fixture
def environment(valkey: Server, tmp_path: Path) -> dict[str, str]:
    return {"REDIS_URL": valkey.url, "TOUCHSTONE_HOME": str(tmp_path)}


def test_it_listens_on_loopback_behind_the_password(environment: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    environment |= {"TOUCHSTONE_FLOWER_PASSWORD": "open-sesame", "TOUCHSTONE_FLOWER_PORT": str(port)}
    flower = Child(Program("flower", CELERY, tmp_path, tmp_path / "flower.log", environment=environment))
    try:
        healthy = answering("127.0.0.1", port, "/healthcheck")
        until(lambda: not flower.alive or healthy(), "a Flower that answers")
        assert flower.alive, (tmp_path / "flower.log").read_text()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as stranger:
            assert [stranger.get(path).status_code for path in ("/", "/workers", "/api/workers")] == [401] * 3
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=("touchstone", "open-sesame")) as client:
            assert client.get("/workers").status_code == 200
            assert client.get("/api/tasks").json() == {}
    finally:
        flower.stop()


def test_without_a_password_it_does_not_start(environment: dict[str, str]) -> None:
    done = subprocess.run(CELERY, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.strip() == "Error: TOUCHSTONE_FLOWER_PASSWORD: not set, and Flower does not start without one"
