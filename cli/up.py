"""`touchstone up`: the whole stack, until Ctrl-C."""

import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.stack.home import Home, held
from cli.stack.stack import Stack, running
from config.settings import Settings, load
from telemetry.logging import configure


def up(
    home: Annotated[Path | None, typer.Option(help="Where data, keys and logs are kept.")] = None,
    host: Annotated[str | None, typer.Option(help="Address of the API.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API; a free one is taken when it is busy.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes for live and bulk batches.")] = None,
) -> None:
    """Run the whole stack until Ctrl-C: servers, API, workers, schedule and Flower. Data is kept."""
    options = {"home": home, "host": host, "port": port, "workers": workers}
    given = {name: value for name, value in options.items() if value is not None}
    settings = load(**given)
    configure(settings.log_level, settings.log_format)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with held(settings.home) as ours:
        settings = load(**given | {"home": ours.path})  # without what a killed predecessor had noted
        try:
            with running(ours, settings) as stack:
                _say_where(console, ours, settings, stack)
                stack.supervisor.watch()
        except KeyboardInterrupt:
            console.print("stopped")


def _say_where(console: Console, home: Home, settings: Settings, stack: Stack) -> None:
    for name, wanted, url in (
        ("API", settings.port, stack.api_url),
        ("Flower", settings.flower_port, stack.flower_url),
    ):
        if not url.endswith(f":{wanted}"):
            console.print(f"port {wanted} is busy: {name} listens on {url}")
    console.print(f"API     {stack.api_url}/docs   (key: {home.api_key})")
    console.print(f"Flower  {stack.flower_url}   (user {settings.flower_user}, password: {home.flower_password})")
    console.print(f"logs    {home.log('*')}")
    console.print("Ctrl-C stops everything; the data stays.")
