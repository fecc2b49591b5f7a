"""`touchstone status`: what waits, what is graded, what is lost."""

import time
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.live import Live
from rich.text import Text

from cli.database import transaction
from cli.listing import aligned, show_json
from db import ledger

_INTERVAL = 2.0
_PROJECT = ["tenant", "project", *ledger.STATES]
_LANE = ["lane", "waiting", "claimed", "oldest"]


def status(
    json: Annotated[bool, typer.Option("--json", help="Print JSON; with --watch a line at a time.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it until Ctrl-C.")] = False,
) -> None:
    """Show every project's answers by state and what waits in each lane. Exits with 1 when an answer is lost."""
    if watch:
        _watch(json=json)
    found = _read()
    if json:
        show_json(found)
    else:
        typer.echo(found.text())
    if any(row.lost for row in found.projects):
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Status:
    projects: list[ledger.LedgerRow]
    lanes: list[ledger.Backlog]
    """Lanes in which nothing waits or is claimed are left out."""

    def text(self) -> str:
        projects = aligned([asdict(row) for row in self.projects], _PROJECT)
        lanes = [asdict(row) | {"oldest": f"{row.oldest:.1f} s"} for row in self.lanes]
        return f"{projects}\n\n{aligned(lanes, _LANE)}" if lanes else f"{projects}\n\nnothing waits"


def _read() -> _Status:
    with transaction() as connection:
        return _Status(ledger.read(connection), ledger.backlog(connection))


def _watch(*, json: bool) -> None:
    if json:
        while True:
            show_json(_read())
            time.sleep(_INTERVAL)
    with Live(auto_refresh=False) as live:
        while True:
            live.update(Text(_read().text()), refresh=True)
            time.sleep(_INTERVAL)
