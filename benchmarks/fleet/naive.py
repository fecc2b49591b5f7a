"""The naive stack: what a good engineer writes in a day, run as it is in an environment of its own."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.fleet.processor import Processor
from cli.stack.ports import free_port
from config.environment import inherited

PINS = Path(__file__).parent.parent / "peers" / "naive-requirements.txt"
_MODULE = "baseline_naive.py"
"""The name by which the script's processes import it."""
_RATE = re.compile(r"saturation run \d+: ([\d,]+) answers/s")
_BATCHES = {True: 60, False: 400}
"""In a saturation run, with and without the model: some ten seconds of work."""


@dataclass(frozen=True, slots=True)
class Naive:
    """A saturation run: from its first POST to its last verdict."""

    model: bool
    answers_per_second: float
    foreign_cores: float


def python(cache: Path) -> Path:
    """The interpreter of an environment with what the naive stack imports, made if it is not there yet."""
    pins = PINS.read_text()
    interpreter, stamp = cache / "bin" / "python", cache / "pins"
    if not (stamp.exists() and stamp.read_text() == pins):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(cache)], check=True)
        install = [str(interpreter), "-m", "pip", "install", "-q", "--only-binary", ":all:", "-r", str(PINS)]
        subprocess.run(install, check=True, stdout=sys.stderr)
        stamp.write_text(pins)
    return interpreter


def measure(script: Path, interpreter: Path, *, model: bool) -> Naive:
    """One saturation run.

    Raises:
        RuntimeError: it ended without a figure.
    """
    with TemporaryDirectory(prefix="touchstone-") as directory, Processor(dict) as processor:
        copy = Path(shutil.copy(script, Path(directory) / _MODULE))
        words = [str(interpreter), str(copy), "bench", "--runs", "1", "--batches", str(_BATCHES[model])]
        words += [] if model else ["--no-grade"]
        environment = inherited(BASE_PORT=str(free_port()), PYTHONPATH="")
        done = subprocess.run(words, env=environment, cwd=directory, capture_output=True, text=True, check=False)
    found = _RATE.search(done.stdout)
    if found is None:
        raise RuntimeError(f"the naive stack ended with {done.returncode}: {done.stderr[-500:]}")
    return Naive(model, float(found[1].replace(",", "")), processor.foreign)
