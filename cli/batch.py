"""`touchstone batch`: the batches of a project."""

from typing import Annotated, Literal

import typer

from cli.client import connect, project_path
from cli.listing import show_fields, show_rows
from config.settings import load

app = typer.Typer(help="Batches: list, show, retry, cancel.", no_args_is_help=True, add_completion=False)

Project = Annotated[str, typer.Option(help="Name of the project.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the batch.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    project: Project,
    state: Annotated[
        Literal["waiting", "claimed", "graded", "dead", "cancelled"] | None, typer.Option(help="Only those in it.")
    ] = None,
    lane: Annotated[Literal["live", "bulk"] | None, typer.Option(help="Only those of it.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, at most.")] = 100,
    json: Json = False,
) -> None:
    """List batches in the order in which they were accepted."""
    with connect(load()) as client:
        rows = list(client.items(project_path(project, "batches"), limit=limit, state=state, lane=lane))
    show_rows(rows, ["id", "lane", "state", "attempts", "answers", "accepted_at", "finished_at", "error"], json=json)


@app.command()
def show(batch: Id, project: Project, json: Json = False) -> None:
    """Show one batch: its state, times and counts."""
    with connect(load()) as client:
        show_fields(client.get(project_path(project, "batches", batch)), json=json)


@app.command()
def retry(batch: Id, project: Project, json: Json = False) -> None:
    """Let a dead batch, or the dead answers of a graded one, wait again."""
    with connect(load()) as client:
        show_fields(client.post(project_path(project, "batches", batch, "retry")), json=json)


@app.command()
def cancel(batch: Id, project: Project, json: Json = False) -> None:
    """Cancel a batch that no worker has claimed yet."""
    with connect(load()) as client:
        show_fields(client.delete(project_path(project, "batches", batch)), json=json)
