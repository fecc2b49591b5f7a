"""What deploy/ says of the product, checked against the product."""

import re
from itertools import pairwise
from typing import Any

from cli.main import NOUNS
from tasks import queues
from tests.unit.deploy.files import DEPLOY, ROOT, SETTINGS

Services = dict[str, dict[str, Any]]

VARIABLE = re.compile(r"\$\{(\w+)")


def test_every_command_is_a_noun(ours: Services) -> None:
    commands = [service["command"] for service in ours.values()]
    assert {command[0] for command in commands} == {"touchstone"}
    assert {command[1] for command in commands} <= set(NOUNS)
    assert {command[1] for command in commands} >= {"serve", "worker", "beat", "flower", "db"}


def test_every_lane_has_a_worker(ours: Services) -> None:
    commands = [service["command"] for service in ours.values()]
    lanes = {word for command in commands for flag, word in pairwise(command) if flag == "--lane"}
    assert lanes == set(queues.NAMES)


def test_every_environment_variable_is_a_setting(ours: Services) -> None:
    for service in ours.values():
        assert set(service["environment"]) <= SETTINGS


def test_env_example_has_settings_and_what_compose_fills_in_and_all_that_it_requires() -> None:
    example = (DEPLOY / "env.example").read_text()
    offered = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    needed = set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE))
    text = (DEPLOY / "compose.yaml").read_text()
    assert offered <= set(VARIABLE.findall(text))
    assert needed == set(re.findall(r"\$\{(\w+):\?\}", text))
    assert {name for name in offered if name.startswith("TOUCHSTONE_")} <= SETTINGS


def test_every_image_is_a_target_and_pinned(compose: dict[str, Any], targets: set[str]) -> None:
    assert {"api", "worker-cpu", "worker-gpu"} <= targets
    for name, service in compose["services"].items():
        if "build" in service:
            assert service["build"]["target"] in targets
        else:
            assert re.search(r":v?\d+\.\d+\.?\d*(-\w+)?$", service["image"]), name


def test_nothing_listens_beyond_loopback_by_default(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_what_is_not_of_the_fleet_comes_when_it_is_asked_for(compose: dict[str, Any]) -> None:
    profiles = {name: service.get("profiles") for name, service in compose["services"].items()}
    asked = {"prometheus": ["observability"], "grafana": ["observability"]}
    assert profiles == dict.fromkeys(compose["services"]) | asked


def test_nothing_writes_where_it_need_not(compose: dict[str, Any]) -> None:
    servers = {"postgres", "redis"}
    for name, service in compose["services"].items():
        if name not in servers:
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]
        mounts = [volume for volume in service.get("volumes", []) if volume.startswith(".")]
        assert all(mount.endswith(":ro") for mount in mounts)


def test_images_copy_every_package() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert packages == set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE))
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert {f"!{package}" for package in packages} <= set(allowed)


def test_images_run_without_root() -> None:
    stages = (DEPLOY / "Dockerfile").read_text().split("\nFROM ")
    final = [stage for stage in stages if re.match(r"\S+ AS (api|worker-\w+)\n", stage)]
    assert len(final) == 3
    assert all("USER touchstone" in stage and "HEALTHCHECK" in stage for stage in final)
