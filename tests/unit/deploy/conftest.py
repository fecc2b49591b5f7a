"""What deploy/ has, as its tests read it."""

import re
import tomllib
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.unit.deploy.files import DEPLOY, ROOT


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return content


@pytest.fixture(scope="session")
def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that run this project."""
    return {name: service for name, service in compose["services"].items() if "build" in service}


@pytest.fixture(scope="session")
def targets() -> set[str]:
    """The images that the Dockerfile makes."""
    return set(re.findall(r"^FROM \S+ AS (\S+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))


@pytest.fixture(scope="session")
def version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])
