"""The console script, without any server."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from cli.main import NOUNS, main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main(list(arguments))
    written = capsys.readouterr()
    return exit_.value.code, written.out, written.err


def test_help_lists_every_noun_without_importing_it() -> None:
    script = """
import sys
from cli.main import NOUNS, main
try:
    main(["--help"])
except SystemExit:
    pass
loaded = [noun for noun in NOUNS if f"cli.{noun}" in sys.modules]
assert not loaded, loaded
assert not {"torch", "celery", "sqlalchemy", "httpx"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(f" {noun} " in done.stdout for noun in NOUNS)


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_has_a_file_of_its_own_with_a_command(noun: str) -> None:
    module = import_module(f"cli.{noun}")
    command = getattr(module, "app", None) or getattr(module, noun)
    assert isinstance(command, typer.Typer) or callable(command)


def test_the_supervisor_loads_neither_torch_nor_celery() -> None:
    script = "import sys, cli.up; sys.exit(bool({'torch', 'celery', 'consensus', 'workers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_what_the_user_can_mend_is_one_line_and_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOUCHSTONE_PORT", "many")
    code, _, err = run(capsys, "up", "--home", str(tmp_path))
    assert code == 2
    assert err.startswith("error: TOUCHSTONE_PORT: ")
    assert len(err.splitlines()) == 1


def test_a_typo_is_answered_with_the_nearest_noun(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "statsu")
    assert code == 2
    assert "status" in err


def test_flower_wants_a_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOUCHSTONE_HOME", str(tmp_path))
    code, _, err = run(capsys, "flower")
    assert (code, err) == (2, "error: TOUCHSTONE_FLOWER_PASSWORD: not set, and Flower does not start without one\n")


def test_demo_refuses_more_answers_than_the_crowd_can_give() -> None:
    simulated = import_module("cli.simulated")
    with pytest.raises(ValueError, match="too many"):
        simulated.simulated_crowd(seed=1, challenges=2, answers=1000)
