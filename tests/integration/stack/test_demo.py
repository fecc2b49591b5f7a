"""`touchstone demo`, in small."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

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
