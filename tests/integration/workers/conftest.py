"""A worker's runtime on the test database."""

import logging as standard
from collections.abc import Iterator

import pytest
import structlog

from config.settings import Settings
from telemetry import logging
from workers.runtime import Runtime


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    """Logs as in production: structlog left alone paints every traceback, which takes seconds."""
    root = standard.getLogger()
    handlers, level = list(root.handlers), root.level
    logging.configure("error", "json")
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """Settings under which a failed batch is tried again at once, and not often."""
    return settings.model_copy(update={"retry_base": 0.001, "retry_max": 0.001, "max_attempts": 3})


@pytest.fixture
def runtime(quick: Settings) -> Iterator[Runtime]:
    made = Runtime.open(quick, name="test-worker")
    yield made
    made.close()
