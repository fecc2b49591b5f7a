"""A worker's runtime on the test database."""

from collections.abc import Iterator

import pytest

from config.settings import Settings
from workers.runtime import Runtime


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """Settings under which a failed batch is tried again at once, and not often."""
    return settings.model_copy(update={"retry_base": 0.001, "retry_max": 0.001, "max_attempts": 3})


@pytest.fixture
def runtime(quick: Settings) -> Iterator[Runtime]:
    made = Runtime.open(quick, name="test-worker")
    yield made
    made.close()
