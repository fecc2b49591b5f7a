"""`touchstone group`: respondents who may share what they know."""

from pathlib import Path
from typing import Annotated

import typer

from cli.client import connect, project_path
from cli.errors import CliError
from cli.listing import show_fields, show_rows
from config.settings import load

app = typer.Typer(help="Groups of respondents: put, list, remove.", no_args_is_help=True, add_completion=False)

Project = Annotated[str, typer.Option(help="Name of the project.")]
Group = Annotated[str, typer.Argument(metavar="GROUP", help="Name of the group.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def put(
    group: Group,
    project: Project,
    respondents: Annotated[list[str] | None, typer.Argument(metavar="RESPONDENT...", help="Keys.")] = None,
    file: Annotated[Path | None, typer.Option(help="A key on each line, besides.")] = None,
    json: Json = False,
) -> None:
    """Let a group be these respondents and no others."""
    keys = list(respondents or [])
    if file is not None:
        try:
            keys += file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CliError(f"{file}: {error}") from None
    with connect(load()) as client:
        show_fields(client.put(project_path(project, "groups", group), {"respondents": keys}), json=json)


@app.command("list")
def list_(
    project: Project,
    odds: Annotated[float | None, typer.Option(min=0, help="The least odds.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many, at most; all by default.")] = None,
    json: Json = False,
) -> None:
    """List groups with the odds that each shares gold's answers."""
    with connect(load()) as client:
        least = None if odds is None else str(odds)
        rows = list(client.items(project_path(project, "groups"), limit=limit, odds=least))
    show_rows(rows, ["group", "respondents", "odds"], json=json)


@app.command()
def remove(group: Group, project: Project, json: Json = False) -> None:
    """Forget a group."""
    with connect(load()) as client:
        show_fields(client.delete(project_path(project, "groups", group)), json=json)
