"""The peers' virtual environment, and processes that measure one contender each."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEERS = HERE.parent / "peers"
ROOT = HERE.parent.parent


def peers_python(cache: Path) -> Path:
    """The interpreter of an environment with the pinned peers, made if it is not there yet."""
    pins = (PEERS / "requirements.txt").read_text()
    python, stamp = cache / "bin" / "python", cache / "pins"
    if not (stamp.exists() and stamp.read_text() == pins):
        subprocess.run([sys.executable, "-m", "venv", "--clear", cache], check=True)
        install = [python, "-m", "pip", "install", "-q", "--only-binary", ":all:", "-r", PEERS / "requirements.txt"]
        subprocess.run(install, check=True, stdout=sys.stderr)
        stamp.write_text(pins)
    return python


def peer(python: Path, *arguments: object) -> Iterator[dict[str, Any]]:
    """What the peers' contender prints, line by line."""
    return _lines([str(python), str(PEERS / "contender.py"), *map(str, arguments)])


def ours(*arguments: object) -> Iterator[dict[str, Any]]:
    """What our contender prints, line by line."""
    return _lines([sys.executable, "-m", "benchmarks.consensus.contender", *map(str, arguments)])


def _lines(command: list[str]) -> Iterator[dict[str, Any]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ}) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
        except GeneratorExit:
            process.terminate()
            raise
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:6])} ended with {process.returncode}")
