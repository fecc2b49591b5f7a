"""The fleet behind PgBouncer in transaction mode."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from cli.stack.ports import free_port
from cli.stack.server import Server
from config.settings import Settings
from tests.functional import books
from tests.functional.conftest import Answer
from tests.functional.fleet import Fleet, client
from tests.functional.test_grading import post
from tests.integration.workers.crowd import scalar
from tests.waiting import until

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONNECTIONS = 4

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")


@pytest.fixture
def pooled(settings: Settings, tmp_path: Path) -> Iterator[str]:
    """The URL of a pooler before the test database, with fewer connections to it than its clients have."""
    behind = make_url(settings.require_database_url())
    port = free_port()
    configuration = tmp_path / "pgbouncer.ini"
    configuration.write_text(
        f"""
        [databases]
        {behind.database} = host={behind.host} port={behind.port} user={behind.username} password={behind.password}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = any
        pool_mode = transaction
        default_pool_size = {CONNECTIONS}
        max_client_conn = 200
        """.replace("        ", "")
    )
    words = [str(PGBOUNCER), *(["-u", "nobody"] if os.geteuid() == 0 else []), str(configuration)]
    with (tmp_path / "pgbouncer.log").open("wb") as log:
        pooler = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until(lambda: _listens(port) or pooler.poll() is not None, "a pooler")
        assert pooler.poll() is None, (tmp_path / "pgbouncer.log").read_text()
        url = behind.set(drivername="postgresql", host="127.0.0.1", port=port)
        yield url.render_as_string(hide_password=False)
    finally:
        pooler.terminate()
        pooler.wait(20)


def test_answers_are_graded_and_refitted(
    make_fleet: Callable[..., Fleet], pooled: str, key: str, engine: Engine, crowd: list[list[Answer]]
) -> None:
    fleet = make_fleet(database_url=pooled, prepared_statements=False, lease=3, sweep_interval=0.5)
    with client(fleet.api(), key) as api:
        api.post("/projects", json={"name": "quiz", "classes": ["no", "yes"]}).raise_for_status()
        fleet.worker()
        fleet.worker("refit")
        fleet.worker("maintenance")
        for batch in crowd:
            post(api, batch).raise_for_status()
        until(lambda: books.everything_graded(engine, "quiz"), "graded answers")
        api.post("/projects/quiz/model-runs").raise_for_status()
        until(lambda: api.get("/projects/quiz/challenges/c4").json()["final"], "a final verdict")
        assert len(api.get("/projects/quiz/events").json()["items"]) >= 20
    assert books.balance(engine, "quiz").lost == 0
    assert books.deviation(engine, 2) < 1e-6
    with engine.connect() as connection:
        ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'touchstone%'"
        assert 1 <= connection.execute(text(ours)).scalar_one() <= CONNECTIONS


def restart(postgres: Server, _engine: Engine) -> None:
    postgres.kill()
    postgres.start()


def crash(_postgres: Server, engine: Engine) -> None:
    """One of its processes dies; the server ends all others, and recovers by itself."""
    with engine.connect() as connection:
        os.kill(scalar(connection, "SELECT pg_backend_pid()"), signal.SIGKILL)
        connection.invalidate()
    until(lambda: _answers(engine), "a server that has recovered")


@pytest.mark.parametrize("lose", [restart, crash])
def test_a_server_that_may_have_lost_names_behind_the_pooler_is_noticed(
    make_fleet: Callable[..., Fleet],
    pooled: str,
    key: str,
    engine: Engine,
    postgres: Server,
    lose: Callable[[Server, Engine], None],
) -> None:
    fleet = make_fleet(database_url=pooled, prepared_statements=False, lease=3, sweep_interval=0.5)
    with client(fleet.api(), key) as api:
        api.post("/projects", json={"name": "quiz", "classes": ["no", "yes"]}).raise_for_status()
        fleet.worker()
        post(api, [{"challenge": name, "respondent": "r1", "answer": "yes"} for name in ("one", "other")])
        until(lambda: books.everything_graded(engine, "quiz"), "a batch that makes the names known")

        lose(postgres, engine)
        with engine.begin() as connection:  # as if the names had been lost, and made again the other way round
            for was, now in (("one", "kept"), ("other", "one"), ("kept", "other")):
                parameters = {"was": was, "now": now}
                connection.execute(text("UPDATE challenges SET key = :now WHERE key = :was"), parameters)
        late = [{"challenge": "one", "respondent": "r2", "answer": "yes"}]
        until(lambda: post(api, late, key="late").status_code == 202, "an API that accepts again")
        until(lambda: books.everything_graded(engine, "quiz"), "a graded batch")

        found = {name: api.get(f"/projects/quiz/challenges/{name}").json()["answers"] for name in ("one", "other")}
    assert found == {"one": 2, "other": 1}
    assert books.deviation(engine, 2) < 1e-6


def _answers(engine: Engine) -> bool:
    try:
        with engine.connect():
            return True
    except OperationalError:
        return False


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
