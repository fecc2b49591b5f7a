"""`touchstone events`: every visible change of a project's verdicts."""

from typing import Annotated

import msgspec
import typer

from cli.client import PATIENCE, connect, project_path
from cli.listing import Fields, cell
from config.settings import load

_PAGE = 1000
_PAUSE = 0.5


def events(
    project: Annotated[str, typer.Option(help="Name of the project.")],
    after: Annotated[str | None, typer.Option(help="The `cursor` of the last event that is known already.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """Print the change feed from its beginning or from behind a cursor, a line an event."""
    path = project_path(project, "events")
    with connect(load(), patience=PATIENCE if follow else 0.0) as client:
        while True:
            page = client.get(path, after=after, limit=_PAGE)
            after = page["next"]
            if page["items"]:
                typer.echo("\n".join(map(_object if json else _line, page["items"])))
            elif follow:
                client.pause(_PAUSE)
            else:
                return


def _object(event: Fields) -> str:
    return msgspec.json.encode(event).decode()


def _line(event: Fields) -> str:
    names = ("cursor", "at", "kind", "challenge", "version", "answer", "confidence", "status", "cause")
    return "  ".join(cell(event[name]) for name in names)
