"""The wheel, installed in an environment of its own, far from the checkout."""

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.stack.server import Server
from config.environment import inherited
from tests.databases import empty_database

CHECKOUT = Path(__file__).parents[2]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` directory of a virtual environment that holds the wheel.

    Dependencies are those of the environment that runs the tests. Its own editable installation stays out: a directory
    on the path lends its packages, its `.pth` files are not read.
    """
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", f"--wheel-dir={place}", str(CHECKOUT)], check=True)
    (wheel,) = place.glob("touchstone-*.whl")
    environment = place / "venv"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    subprocess.run([*pip, f"--python={python}", "install", "--no-deps", str(wheel)], check=True)
    (packages,) = (environment / "lib").glob("python3*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


@pytest.fixture
def run(installation: Path, tmp_path: Path, postgres: Server) -> Iterator[Run]:
    """Run a program of that environment in an empty directory, with a database without tables."""
    with empty_database(postgres) as url:

        def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [installation / program, *arguments],
                cwd=tmp_path,
                env=inherited(DATABASE_URL=url, PYTHONPATH="", TOUCHSTONE_HOME=str(tmp_path)),
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )

        yield _run
