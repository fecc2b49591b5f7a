"""The API as it runs: uvicorn on a loopback socket, in a thread of the test."""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn

from api.app import create_app
from api.connection import Connection
from config.settings import Settings
from telemetry.logging import configure
from tests.waiting import until


@contextmanager
def serve(settings: Settings) -> Iterator[str]:
    """The base URL of an API process with these settings, running inside the block."""
    with _logging(), socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(create_app(settings), http=Connection, log_config=None, timeout_graceful_shutdown=5)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive(), "the API has started")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _logging() -> Iterator[None]:
    """Log as a served process does, for the block alone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure("error", "json")
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
