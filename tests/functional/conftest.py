"""A tenant with a key, and fleets."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from config.settings import Settings
from db import keys, tenants
from tests.functional.fleet import Fleet, client

Answer = dict[str, str]

pytestmark = pytest.mark.xdist_group("functional")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Functional tests start many processes: they follow one another, in one test process."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("functional"))


@pytest.fixture
def key(engine: Engine) -> str:
    """A key with every scope."""
    with engine.begin() as connection:
        tenant = tenants.create(connection, "acme")
        return keys.create(connection, tenant.id, "test", ["submit", "read", "admin", "gold"])[1]


@pytest.fixture
def make_fleet(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Makes a fleet with settings of its own; ends all of it after the test."""
    fleets: list[Fleet] = []

    def make(**overrides: Any) -> Fleet:
        directory = tmp_path / str(len(fleets))
        directory.mkdir()
        fleets.append(Fleet(settings, directory, **overrides))
        return fleets[-1]

    yield make
    for fleet in fleets:
        fleet.__exit__()


@pytest.fixture
def fleet(make_fleet: Callable[..., Fleet]) -> Fleet:
    """A fleet with short leases."""
    return make_fleet(lease=3, sweep_interval=0.5, retry_base=0.1)


@pytest.fixture
def api(fleet: Fleet, key: str) -> Iterator[httpx.Client]:
    """A client of a running API with a project `quiz` of two classes."""
    with client(fleet.api(), key) as made:
        made.post("/projects", json={"name": "quiz", "classes": ["no", "yes"]}).raise_for_status()
        yield made


@pytest.fixture
def crowd() -> list[list[Answer]]:
    """Ten batches of 40 answers of 20 respondents to the same 20 challenges, none of them twice."""
    rng = random.Random(7)
    answers = [
        {"challenge": f"c{c}", "respondent": f"r{r}", "answer": "yes" if (rng.random() < 0.8) == (c % 2 == 0) else "no"}
        for c in range(20)
        for r in range(20)
    ]
    rng.shuffle(answers)
    return [answers[start : start + 40] for start in range(0, len(answers), 40)]
