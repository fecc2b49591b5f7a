"""What the wheel can do without the checkout."""

from pathlib import Path

import pytest

from cli.main import NOUNS
from tests.packaging.conftest import CHECKOUT, Run

pytestmark = pytest.mark.package


def test_the_code_that_runs_is_the_wheels(run: Run) -> None:
    done = run("python", "-c", "import cli, db, migrations; print(cli.__file__, db.__file__, migrations.__file__)")
    assert done.returncode == 0, done.stderr
    assert str(CHECKOUT) not in done.stdout
    assert done.stdout.count("site-packages") == 3


def test_help_lists_every_noun(run: Run) -> None:
    done = run("touchstone", "--help")
    assert done.returncode == 0, done.stderr
    assert all(noun in done.stdout for noun in NOUNS)


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_can_be_called(run: Run, noun: str) -> None:
    done = run("touchstone", noun, "--help")
    assert done.returncode == 0, done.stderr
    assert f"touchstone {noun}" in done.stdout


def test_migrations_are_in_it(run: Run) -> None:
    before = run("touchstone", "db", "check")
    assert (before.returncode, before.stdout) == (1, "")

    up = run("touchstone", "db", "upgrade")
    assert up.returncode == 0, up.stderr
    assert "(head)" in run("touchstone", "db", "current").stdout
    check = run("touchstone", "db", "check")
    assert check.returncode == 0, check.stderr

    down = run("touchstone", "db", "downgrade", "base")
    assert down.returncode == 0, down.stderr
    assert run("touchstone", "db", "current").stdout == ""


def test_a_new_revision_is_numbered_after_the_head(run: Run) -> None:
    done = run("touchstone", "db", "revision", "-m", "Add a colour", "--no-autogenerate")
    assert done.returncode == 0, done.stderr
    head = max(path.name for path in (CHECKOUT / "migrations" / "versions").glob("0*.py"))
    made = Path(done.stdout.split()[1])
    assert made.name == f"{int(head[:4]) + 1:04d}_add_a_colour.py"
    made.unlink()


def test_the_api_needs_no_torch(run: Run) -> None:
    done = run("python", "-c", "import api.app, sys; sys.exit('torch' in sys.modules)")
    assert done.returncode == 0, done.stderr
