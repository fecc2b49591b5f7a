"""The real servers, started from their wheels."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cli.stack import server as servers
from cli.stack.child import Program
from cli.stack.postgres import embedded_postgres, in_limbo, recovers
from cli.stack.server import Server
from cli.stack.valkey import embedded_valkey
from tests.processes import runs

HOLDER = """
import sys, time
from pathlib import Path
from cli.stack.postgres import embedded_postgres
from cli.stack.valkey import embedded_valkey
from telemetry.logging import configure
configure()
home = Path(sys.argv[1])
with embedded_postgres(home / "postgres") as postgres, embedded_valkey(home / "valkey") as valkey:
    print(postgres.pid, valkey.pid, postgres.url, valkey.url, flush=True)
    time.sleep(600)
"""

# A holder whose servers are told nothing when it dies, as on systems without death signals.
FORGETFUL = """
import dataclasses, os, signal, sys
from pathlib import Path
from cli.stack import postgres, valkey
from cli.stack.child import Child
from telemetry.logging import configure
configure()
home = Path(sys.argv[1])
for module in (postgres, valkey):
    directory = home / module.__name__.rpartition(".")[2]
    server = module.prepare(directory, directory, home / "log")
    print(Child(dataclasses.replace(server.program, death_signal=signal.SIGCONT)).pid)
sys.stdout.flush()
os._exit(0)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """Not pytest's own directory: that one is closed to the account that PostgreSQL runs as under root."""
    with tempfile.TemporaryDirectory(prefix="touchstone-") as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="touchstone-") as directory, embedded_postgres(Path(directory)) as server:
        yield server


@pytest.fixture(scope="module")
def valkey() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="touchstone-") as directory, embedded_valkey(Path(directory)) as server:
        yield server


def show(server: Server, setting: str) -> str:
    with psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT current_setting(%s)", [setting]).fetchone()
    assert row is not None
    return str(row[0])


def test_postgres_cuts_no_corner(postgres: Server) -> None:
    assert int(show(postgres, "server_version_num")) >= 180000
    assert [show(postgres, name) for name in ("fsync", "synchronous_commit", "full_page_writes")] == ["on"] * 3
    assert show(postgres, "server_encoding") == "UTF8"
    assert show(postgres, "password_encryption") == "scram-sha-256"
    assert show(postgres, "listen_addresses") == "127.0.0.1"


def test_postgres_wants_its_password(postgres: Server) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url, password="guess")


def test_postgres_keeps_rows_and_address_over_restart_and_kill(postgres: Server) -> None:
    before = postgres.url
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS x")
    postgres.restart()
    postgres.kill()
    postgres.start()
    assert postgres.url == before
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT x FROM kept").fetchall() == [(1,)]


def test_a_server_without_whoever_writes_or_replays_its_log_is_in_limbo(postgres: Server) -> None:
    assert not in_limbo(postgres.pid)
    assert in_limbo(psutil.Process().pid)
    assert not in_limbo(2**22 + 1)  # there is no such process: nobody to be ended


def test_whoever_replays_a_log_is_waited_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_START_LIMIT", 0.0)
    looks: list[int] = []

    def answers(_: str) -> bool:
        return len(looks) > 3

    def recovers(pid: int) -> bool:
        looks.append(pid)
        return True

    sleeper = Program("postgres", [sys.executable, "-c", "import time; time.sleep(600)"], home, home / "log")
    slow = Server(lambda _: sleeper, str, answers, recovers=recovers)
    try:
        slow.start()
        assert set(looks) == {slow.pid}
    finally:
        slow.kill()


def test_a_server_that_serves_does_not_recover(postgres: Server) -> None:
    assert not recovers(postgres.pid)
    assert not recovers(2**22 + 1)


def test_valkey_wants_its_password_and_evicts_nothing(valkey: Server) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    with (
        redis.Redis(port=valkey.port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_valkey_comes_back_empty_at_the_same_address(valkey: Server) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.set("doorbell", 1)
        valkey.restart()
        assert client.get("doorbell") is None
        client.set("doorbell", 1)
        valkey.kill()
        valkey.start()
        assert client.get("doorbell") is None


def test_secrets_are_the_owners_alone(postgres: Server, valkey: Server) -> None:
    for server in (postgres, valkey):
        secret = server.program.log.parent / "password"
        assert secret.stat().st_mode & 0o777 == 0o600
        assert secret.read_text() in server.url
        assert secret.read_text() not in " ".join(psutil.Process(server.pid).cmdline())


def test_a_busy_port_makes_it_take_another(home: Path) -> None:
    with embedded_valkey(home / "first") as first:
        pass
    with closing(socket.create_server(("127.0.0.1", first.port))), embedded_valkey(home / "second") as second:
        second.stop()
        second._port = first.port  # what it would have drawn
        second.start(moving=True)
        assert second.port != first.port
        assert second.ready


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends what a killed holder left")
def test_kill_9_of_the_holder_leaves_no_orphan_and_the_data_opens_again(home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(home)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        first, second, url, _ = holder.stdout.readline().split()
        servers = [psutil.Process(int(pid)) for pid in (first, second)]
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS x")
        holder.kill()
    _, alive = psutil.wait_procs(servers, timeout=20)
    assert not alive
    with embedded_postgres(home / "postgres") as again, psycopg.connect(again.url) as connection:
        assert connection.execute("SELECT x FROM kept").fetchall() == [(1,)]


def test_the_next_start_ends_what_was_left_running(home: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORGETFUL, str(home)], stdout=subprocess.PIPE, text=True, check=True)
    servers = [psutil.Process(int(pid)) for pid in done.stdout.split()]
    assert all(server.is_running() for server in servers)
    with embedded_postgres(home / "postgres") as postgres, embedded_valkey(home / "valkey") as valkey:
        assert postgres.ready
        assert valkey.ready
        assert not any(runs(server) for server in servers)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must be someone else")
def test_as_root_it_works_below_a_closed_directory(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    with embedded_postgres(closed / "deep" / "postgres") as postgres:
        assert psutil.Process(postgres.pid).uids().real != 0
        assert closed.stat().st_mode & 0o777 == 0o701
