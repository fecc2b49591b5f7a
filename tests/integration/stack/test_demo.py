"""`touchstone demo`, in small."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from cli.stack.postgres import embedded_postgres
from cli.stack.services import TOUCHSTONE

pytestmark = pytest.mark.timeout(400)

DEMO = [*TOUCHSTONE, "demo", "--json", "--challenges", "200", "--answers", "2000"]


def run(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_PORT"))}
    given = inherited | environment | {"TOUCHSTONE_HOME": str(home)}
    return subprocess.run(DEMO, env=given, capture_output=True, text=True, check=False)


def test_it_grades_everything_better_than_majority_and_leaves_nothing() -> None:
    with tempfile.TemporaryDirectory(prefix="touchstone-") as directory:
        # An environment that points elsewhere must not lead the demo there.
        done = run(Path(directory), TOUCHSTONE_API_URL="http://127.0.0.1:1", TOUCHSTONE_API_KEY="ts_elsewhere")
        assert done.returncode == 0, done.stdout + done.stderr
        outcome = json.loads(done.stdout.splitlines()[-1])
        assert outcome["answers"] == outcome["graded"] == 2000
        assert outcome["lost"] == 0
        assert outcome["accuracy"] > outcome["majority_accuracy"]
        assert outcome["answers_per_second"] > 0
        assert list(Path(directory).iterdir()) == []


def test_it_refuses_a_foreign_database_that_is_not_empty() -> None:
    with tempfile.TemporaryDirectory(prefix="touchstone-") as directory:
        home = Path(directory) / "home"
        with embedded_postgres(Path(directory) / "foreign") as foreign:
            with psycopg.connect(foreign.url) as connection:
                connection.execute("CREATE TABLE precious AS SELECT 1 AS x")
            done = run(home, DATABASE_URL=foreign.url)
        assert done.returncode == 2
        assert done.stderr == (
            "error: DATABASE_URL: the database holds tables; --yes adds the demo's project to it all the same\n"
        )
        done = run(home, DATABASE_URL=foreign.url)
        assert done.returncode == 2
        assert done.stderr.startswith("error: Postgres: ")
