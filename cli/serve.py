"""`touchstone serve`: the HTTP API."""

from contextlib import nullcontext
from typing import Annotated

import typer
import uvicorn

from api.connection import Connection
from cli.errors import CliError
from cli.stack.ports import is_free
from config.settings import load
from telemetry import exposition
from telemetry.logging import configure

_GRACE = 10  # seconds that open requests get when the server stops


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes that share the port.")] = None,
) -> None:
    """Serve the HTTP API."""
    settings = load()
    configure(settings.log_level, settings.log_format)
    host = host or settings.host
    port = settings.port if port is None else port
    if not is_free(port, host):
        raise CliError(f"port {port} on {host} is busy: choose another with --port or TOUCHSTONE_PORT")
    count = processes or settings.api_processes
    with exposition.together() if count > 1 else nullcontext():
        uvicorn.run(
            "api.asgi:app",
            host=host,
            port=port,
            workers=count,
            loop="uvloop",
            http=Connection,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
        )
