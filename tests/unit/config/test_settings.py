"""Settings: where they come from, and the one line that a wrong one stops the process with."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from config.settings import STACK_FILE, Settings, SettingsError, load


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No stack runs here and nothing is set."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "REDIS_URL", *(f"TOUCHSTONE_{field.upper()}" for field in Settings.model_fields)):
        monkeypatch.delenv(name, raising=False)


def note(home: Path, pid: int | None = None, **settings: Any) -> None:
    """What a stack leaves in its home; by default one that runs."""
    home.mkdir(exist_ok=True)
    (home / STACK_FILE).write_text(json.dumps({"pid": pid or os.getpid(), "settings": settings}))


WRONG = {
    "DATABASE_URL": "mysql://h/d",
    "TOUCHSTONE_DATABASE_DIRECT_URL": "h/d",
    "REDIS_URL": "http://h",
    "TOUCHSTONE_PORT": "70000",
    "TOUCHSTONE_FLOWER_PORT": "-1",
    "TOUCHSTONE_POOL_SIZE": "2",
    "TOUCHSTONE_LEASE": "0",
    "TOUCHSTONE_SLICE_MS": "0.5",
    "TOUCHSTONE_REFIT_GROWTH": "1.5",
    "TOUCHSTONE_KEY_CACHE": "6",
    "TOUCHSTONE_MAX_ATTEMPTS": "many",
    "TOUCHSTONE_DEVICE": "tpu",
    "TOUCHSTONE_LOG_LEVEL": "loud",
    "TOUCHSTONE_LOG_FORMAT": "xml",
    "TOUCHSTONE_FLOWER_USER": "",
}


@pytest.mark.parametrize(("variable", "value"), WRONG.items())
def test_a_wrong_value_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable}: ") as error:
        load()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", ["mysql://user:hunter2@h/d", "redis:hunter2"])
def test_a_wrong_url_does_not_show_its_password(wrong: str) -> None:
    for field in ("database_url", "redis_url"):
        with pytest.raises(SettingsError) as error:
            load(**{field: wrong})
        assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgres_is_driven_with_psycopg_3(scheme: str) -> None:
    settings = load(database_url=f"{scheme}://u:p@h:1/d?sslmode=require")
    assert settings.require_database_url() == "postgresql+psycopg://u:p@h:1/d?sslmode=require"
    assert settings.require_direct_url() == settings.require_database_url()


def test_migrations_may_go_past_a_pooler() -> None:
    settings = load(database_url="postgres://pooler/d", database_direct_url="postgres://server/d")
    assert settings.require_direct_url() == "postgresql+psycopg://server/d"


@pytest.mark.parametrize(
    "need", [Settings.require_database_url, Settings.require_direct_url, Settings.require_redis_url]
)
def test_a_url_that_is_needed_and_not_set_is_named(need: Any) -> None:
    with pytest.raises(SettingsError, match=r"^(DATABASE|REDIS)_URL: not set, and no embedded stack runs"):
        need(load())


def test_a_running_stack_is_found(tmp_path: Path) -> None:
    note(tmp_path / ".touchstone", database_url="postgresql://stack/d", redis_url="redis://stack", port=8123)
    settings = load()
    assert settings.require_database_url() == "postgresql+psycopg://stack/d"
    assert settings.require_redis_url() == "redis://stack"
    assert settings.port == 8123


def test_the_note_of_a_stack_that_was_killed_is_no_stack(tmp_path: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    note(tmp_path / ".touchstone", killed.pid, database_url="postgresql://stack/d")
    assert load().database_url is None


def test_home_says_which_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note(tmp_path / "one", port=8001)
    note(tmp_path / "two", port=8002)
    assert load(home=tmp_path / "one").port == 8001
    monkeypatch.setenv("TOUCHSTONE_HOME", str(tmp_path / "two"))
    assert load().port == 8002
    assert load(home=tmp_path / "one").port == 8001


def test_the_environment_is_stronger_than_the_stack_and_arguments_are_strongest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(tmp_path / ".touchstone", database_url="postgresql://stack/d", port=1)
    monkeypatch.setenv("DATABASE_URL", "postgresql://environment/d")
    monkeypatch.setenv("TOUCHSTONE_PORT", "2")
    assert load().require_database_url() == "postgresql+psycopg://environment/d"
    assert load().port == 2
    given = load(database_url="postgresql://argument/d", port=3)
    assert (given.require_database_url(), given.port) == ("postgresql+psycopg://argument/d", 3)


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"settings": {}}', "{}"])
def test_a_broken_note_is_no_stack(tmp_path: Path, content: str) -> None:
    home = tmp_path / ".touchstone"
    home.mkdir()
    (home / STACK_FILE).write_text(content)
    assert load().database_url is None


def test_settings_cannot_be_changed() -> None:
    settings = load()
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_secrets_are_not_shown() -> None:
    settings = load(database_url="postgres://u:hunter2@h/d", api_key="hunter2", flower_password="hunter2")
    assert "hunter2" not in repr(settings)
