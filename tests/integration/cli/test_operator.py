"""What an operator does on Postgres itself: tenants, keys, status, migrations."""

import hashlib
import json
import signal
import subprocess
import sys

import pytest
from sqlalchemy import Engine, create_engine, text

from cli.key import Scope
from cli.stack.server import Server
from config.environment import inherited
from db import keys
from db.models.tenant import SCOPES
from tests.databases import empty_database
from tests.integration.cli.conftest import Touchstone


def test_tenants(touchstone: Touchstone) -> None:
    assert touchstone("tenant", "create", "acme").code == 0
    assert touchstone("tenant", "create", "zoo", "--json").json["name"] == "zoo"
    assert [tenant["name"] for tenant in touchstone("tenant", "list", "--json").json] == ["acme", "zoo"]
    assert "acme" in touchstone("tenant", "list").out

    again = touchstone("tenant", "create", "acme")
    assert (again.code, again.err) == (2, "error: a tenant named 'acme' exists\n")


@pytest.mark.parametrize("name", ["", " acme", "a\nb", "a" * 65])
def test_a_tenants_name_is_checked(touchstone: Touchstone, name: str) -> None:
    refused = touchstone("tenant", "create", name)
    assert refused.code == 2
    assert refused.err.startswith("error: a tenant's name has")


def test_a_key_is_shown_once_and_lets_its_tenant_in(touchstone: Touchstone, engine: Engine) -> None:
    touchstone("tenant", "create", "acme")
    made = touchstone("key", "create", "--tenant", "acme", "--scope", "submit", "--scope", "read", "--json").json
    with engine.begin() as connection:
        principal = keys.principal(connection, keys.digest(made["key"]))
        stored = connection.execute(text("SELECT digest FROM api_keys")).scalar_one()
    assert principal is not None
    assert principal.scopes == {"submit", "read"}
    assert stored == hashlib.sha256(made["key"].encode()).digest()
    listed = touchstone("key", "list", "--json")
    assert made["key"] not in listed.out
    assert [(key["id"], key["tenant"]) for key in listed.json] == [(made["id"], "acme")]


def test_a_key_alone_is_on_standard_output(touchstone: Touchstone) -> None:
    touchstone("tenant", "create", "acme")
    made = touchstone("key", "create", "--tenant", "acme", "--scope", "read")
    assert made.out.startswith("ts_")
    assert len(made.out.splitlines()) == 1


def test_a_key_makes_its_tenant_only_when_told(touchstone: Touchstone) -> None:
    refused = touchstone("key", "create", "--tenant", "new", "--scope", "read")
    assert (refused.code, refused.err) == (2, "error: no tenant is named 'new'\n")
    for _ in range(2):
        made = touchstone("key", "create", "--tenant", "new", "--create-tenant", "--scope", "read", "--json")
        assert made.json["tenant"] == "new"
    assert [tenant["name"] for tenant in touchstone("tenant", "list", "--json").json] == ["new"]


def test_a_revoked_key_lets_no_one_in(touchstone: Touchstone, engine: Engine) -> None:
    made = touchstone("key", "create", "--tenant", "a", "--create-tenant", "--scope", "read", "--json").json
    assert touchstone("key", "revoke", made["id"]).code == 0
    assert touchstone("key", "revoke", made["id"]).code == 0
    with engine.begin() as connection:
        assert keys.principal(connection, keys.digest(made["key"])) is None
    assert touchstone("key", "list", "--tenant", "a", "--json").json[0]["revoked_at"]
    assert touchstone("key", "revoke", 99).err == "error: no key has the id 99\n"


def test_keys_of_an_unknown_tenant(touchstone: Touchstone) -> None:
    assert touchstone("key", "list", "--tenant", "nobody").err == "error: no tenant is named 'nobody'\n"


def test_scopes_are_those_of_the_database() -> None:
    assert tuple(Scope) == SCOPES


def _project(engine: Engine, lost: int = 0) -> None:
    """A project with ten answers that wait in a lane nobody serves, and a graded batch whose `lost` are nowhere."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO tenants (name) VALUES ('acme');
                INSERT INTO projects
                    (tenant_id, name, classes_open, max_classes, form, model, pass_threshold, fail_threshold)
                    SELECT id, 'birds', false, 2, 'full', 'dawid-skene', 0.7, 0.3 FROM tenants;
                INSERT INTO batches (uid, project_id, answers, lane, idempotency_key, digest, reply, due_at)
                    SELECT gen_random_uuid(), id, 10, 'live', 'a', '', '', now() - interval '1 minute' FROM projects;
            """)
        )
        connection.execute(
            text("""
                INSERT INTO batches (uid, project_id, answers, lane, state, idempotency_key, digest, reply)
                SELECT gen_random_uuid(), id, :lost, 'bulk', 'graded', 'b', '', '' FROM projects
            """),
            {"lost": lost},
        )


def test_status(touchstone: Touchstone, engine: Engine) -> None:
    _project(engine)
    status = touchstone("status", "--json")
    assert status.code == 0
    (project,) = status.json["projects"]
    assert (project["tenant"], project["project"]) == ("acme", "birds")
    assert (project["accepted"], project["waiting"], project["lost"]) == (10, 10, 0)
    (lane,) = status.json["lanes"]
    assert (lane["lane"], lane["waiting"], lane["claimed"]) == ("live", 1, 0)
    assert 60 <= lane["oldest"] < 120
    assert "birds" in touchstone("status").out


def test_status_exits_with_1_when_an_answer_is_lost(touchstone: Touchstone, engine: Engine) -> None:
    _project(engine, lost=3)
    status = touchstone("status", "--json")
    assert status.code == 1
    assert status.json["projects"][0]["lost"] == 3


def test_status_of_nothing(touchstone: Touchstone) -> None:
    status = touchstone("status")
    assert (status.code, "nothing waits" in status.out) == (0, True)


def test_status_goes_on_until_ctrl_c(touchstone: Touchstone) -> None:
    assert touchstone("status").code == 0
    command = [sys.executable, "-m", "cli.main", "status", "--watch", "--json"]
    with subprocess.Popen(command, env=inherited(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert json.loads(first) == {"projects": [], "lanes": []}
    assert (process.returncode, b"Traceback" in said) == (130, False)


def test_a_database_without_tables(touchstone: Touchstone, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with empty_database(postgres) as url:
        monkeypatch.setenv("DATABASE_URL", url)
        assert "run `touchstone db upgrade`" in touchstone("status").err
        assert touchstone("db", "check").code == 1
        assert "(head)" in touchstone("db", "upgrade").out
        assert touchstone("db", "check").code == 0
        assert "(head)" in touchstone("db", "current").out
        assert touchstone("db", "upgrade", "nowhere").code == 2
        assert touchstone("db", "downgrade", "-1").code == 0
        assert touchstone("db", "downgrade", "base").code == 0
        assert touchstone("db", "current").out == ""


def test_drift_is_found(touchstone: Touchstone, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with empty_database(postgres) as url:
        monkeypatch.setenv("DATABASE_URL", url)
        touchstone("db", "upgrade")
        monkeypatch.delenv("DATABASE_URL")
        monkeypatch.setenv("TOUCHSTONE_DATABASE_DIRECT_URL", url)
        _execute(url, "ALTER TABLE tenants ADD COLUMN colour text")
        found = touchstone("db", "check")
    assert found.code == 1
    assert "colour" in found.err


def test_postgres_away(touchstone: Touchstone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    for command in (["status"], ["tenant", "list"], ["db", "current"]):
        away = touchstone(*command)
        assert away.code == 2
        assert away.err.startswith("error: Postgres: ")
        assert len(away.err.splitlines()) == 1


def _execute(url: str, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
