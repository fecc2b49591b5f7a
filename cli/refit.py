"""`touchstone refit`: fit a project's model on all its counted answers."""

from typing import Annotated

import typer

from cli.client import PATIENCE, Client, connect, project_path
from cli.errors import CliError
from cli.listing import Fields, show_fields
from config.settings import load

_PAUSE = 0.25


def refit(
    project: Annotated[str, typer.Option(help="Name of the project.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fit a project's model on all its answers; the verdicts become final."""
    with connect(load(), patience=PATIENCE) as client:
        run: Fields = client.post(project_path(project, "model-runs"))
        if wait:
            run = ended(client, project, run)
    show_fields(run, json=json)
    if run["state"] == "failed":
        raise CliError(f"the model run failed: {run['error']}")


def ended(client: Client, project: str, run: Fields) -> Fields:
    """The model run once it waits and runs no longer."""
    path = project_path(project, "model-runs", str(run["id"]))
    while run["state"] not in {"done", "failed"}:
        client.pause(_PAUSE)
        run = client.get(path)
    return run
