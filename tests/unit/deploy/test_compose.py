"""What deploy/ says of the product, checked against the product."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from cli.main import NOUNS
from config.settings import Settings
from tasks import queues

DEPLOY = Path(__file__).parents[3] / "deploy"
VARIABLE = re.compile(r"\$\{(\w+)")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return content


@pytest.fixture(scope="module")
def targets() -> set[str]:
    return set(re.findall(r"^FROM \S+ AS (\S+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))


def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in compose["services"].items() if "build" in service}


def setting_variables() -> set[str]:
    return {"DATABASE_URL", "REDIS_URL"} | {f"TOUCHSTONE_{name.upper()}" for name in Settings.model_fields}


def test_every_command_is_a_noun(compose: dict[str, Any]) -> None:
    commands = [service["command"] for service in ours(compose).values()]
    assert {command[0] for command in commands} == {"touchstone"}
    assert {command[1] for command in commands} <= set(NOUNS)
    assert {command[1] for command in commands} >= {"serve", "worker", "beat", "flower", "db"}


def test_every_lane_has_a_worker(compose: dict[str, Any]) -> None:
    commands = [service["command"] for service in ours(compose).values()]
    lanes = {word for command in commands for flag, word in pairwise(command) if flag == "--lane"}
    assert lanes == set(queues.NAMES)


def test_every_environment_variable_is_a_setting(compose: dict[str, Any]) -> None:
    for service in ours(compose).values():
        assert set(service["environment"]) <= setting_variables()


def test_env_example_has_settings_and_what_compose_fills_in_and_all_that_it_requires() -> None:
    example = (DEPLOY / "env.example").read_text()
    offered = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    needed = set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE))
    text = (DEPLOY / "compose.yaml").read_text()
    assert offered <= set(VARIABLE.findall(text))
    assert needed == set(re.findall(r"\$\{(\w+):\?\}", text))
    assert {name for name in offered if name.startswith("TOUCHSTONE_")} <= setting_variables()


def test_every_image_is_a_target_and_pinned(compose: dict[str, Any], targets: set[str]) -> None:
    assert {"api", "worker-cpu", "worker-gpu"} <= targets
    for name, service in compose["services"].items():
        if "build" in service:
            assert service["build"]["target"] in targets
        else:
            assert re.search(r":\d+\.\d+", service["image"]), name


def test_nothing_listens_beyond_loopback_by_default(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_images_copy_every_package() -> None:
    root = DEPLOY.parent
    packages = {path.parent.name for path in root.glob("*/__init__.py")} - {"tests", "benchmarks"}
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert packages == set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE))
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert {f"!{package}" for package in packages} <= set(allowed)


def test_images_run_without_root() -> None:
    stages = (DEPLOY / "Dockerfile").read_text().split("\nFROM ")
    final = [stage for stage in stages if re.match(r"\S+ AS (api|worker-\w+)\n", stage)]
    assert len(final) == 3
    assert all("USER touchstone" in stage and "HEALTHCHECK" in stage for stage in final)
