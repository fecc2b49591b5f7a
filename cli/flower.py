"""`touchstone flower`: the fleet's monitor."""

from typing import Annotated

import typer

from cli.errors import CliError
from cli.stack.ports import is_free
from config.settings import load


def flower(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Run Flower behind a password. The same as `celery -A tasks flower`."""
    settings = load()
    host = host or settings.flower_host
    port = settings.flower_port if port is None else port
    if settings.flower_password is None:
        raise CliError("TOUCHSTONE_FLOWER_PASSWORD: not set, and Flower does not start without one")
    if not is_free(port, host):
        raise CliError(f"port {port} on {host} is busy: choose another with --port or TOUCHSTONE_FLOWER_PORT")

    from celery.bin.celery import celery

    celery.main(["-A", "tasks", "flower", f"--address={host}", f"--port={port}"], prog_name="celery")
