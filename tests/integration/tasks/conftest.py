"""Doorbells on a real Valkey, and a worker process's belongings in this one."""

import logging as standard
from collections.abc import Iterator

import pytest
import redis
import structlog
from celery import Celery

from config.settings import Settings
from tasks import process
from tasks.app import make_app
from tasks.process import Process
from tasks.publisher import Publisher
from telemetry import logging


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    """Logs as in production."""
    root = standard.getLogger()
    handlers, level = list(root.handlers), root.level
    logging.configure("warning", "json")
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def client(settings: Settings) -> Iterator[redis.Redis]:
    """Valkey itself, emptied."""
    with redis.Redis.from_url(settings.require_redis_url(), decode_responses=True) as made:
        made.flushall()
        yield made


@pytest.fixture
def publisher(settings: Settings, client: redis.Redis) -> Iterator[Publisher]:
    with Publisher(settings) as made:
        yield made


@pytest.fixture
def here(settings: Settings, client: redis.Redis) -> Iterator[Process]:
    """This process as a worker's."""
    quick = settings.model_copy(update={"retry_base": 0.001, "retry_max": 0.001, "max_attempts": 1, "slice_ms": 1})
    yield process.open_process(quick, "touchstone-worker")
    process.close_process()


@pytest.fixture
def app(settings: Settings) -> Celery:
    """The application with its tasks, as a worker has it."""
    made = make_app(settings)
    made.loader.import_default_modules()
    return made
