"""Prometheus's own tool, where it is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

needed = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not here")


def run(*words: str | Path) -> None:
    """Fails the test with what promtool says."""
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stdout + done.stderr)
