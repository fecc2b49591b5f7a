"""`touchstone gold`: challenges whose right answer is known."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.client import PATIENCE, connect, project_path
from cli.gold_file import load_gold
from cli.listing import show_fields, show_rows
from config.settings import load

app = typer.Typer(
    help="Gold: import, add, dispute, reinstate, retire, list, holders.", no_args_is_help=True, add_completion=False
)

Project = Annotated[str, typer.Option(help="Name of the project.")]
Challenge = Annotated[str, typer.Argument(metavar="CHALLENGE", help="Key of the challenge.")]
Note = Annotated[str | None, typer.Option(help="Why.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Right answers: CSV or NDJSON, gzipped or not.")],
    project: Project,
    json: Json = False,
) -> None:
    """Make the challenges of a file gold; those that are gold already take its answers."""
    with connect(load(), patience=PATIENCE) as client:
        show_fields(load_gold(client, project, file), json=json)


@app.command()
def add(
    challenge: Challenge,
    answer: Annotated[str, typer.Argument(metavar="ANSWER", help="Class that is right.")],
    project: Project,
    note: Note = None,
    json: Json = False,
) -> None:
    """Make a challenge gold, or give it another answer."""
    with connect(load()) as client:
        show_fields(client.put(project_path(project, "gold", challenge), {"answer": answer, "note": note}), json=json)


@app.command()
def dispute(challenge: Challenge, project: Project, note: Note = None, json: Json = False) -> None:
    """Grade it like any other challenge until it is reinstated."""
    _change(challenge, project, "disputed", note, json)


@app.command()
def reinstate(challenge: Challenge, project: Project, note: Note = None, json: Json = False) -> None:
    """Make disputed or retired gold active again."""
    _change(challenge, project, "active", note, json)


@app.command()
def retire(challenge: Challenge, project: Project, note: Note = None, json: Json = False) -> None:
    """Grade it like any other challenge from now on."""
    _change(challenge, project, "retired", note, json)


@app.command("list")
def list_(
    project: Project,
    state: Annotated[Literal["active", "disputed", "retired"] | None, typer.Option(help="Only what is in it.")] = None,
    flagged: Annotated[
        bool | None, typer.Option("--flagged/--unflagged", help="Only what has flags, or only what has none.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many, at most; all by default.")] = None,
    json: Json = False,
) -> None:
    """List gold with what its respondents say, and the odds against it."""
    with connect(load()) as client:
        path = project_path(project, "gold")
        wanted = None if flagged is None else str(flagged).lower()
        rows = list(client.items(path, limit=limit, state=state, flagged=wanted))
    columns = ["challenge", "answer", "state", "applied", "consensus", "confidence", "answers", "flags"]
    show_rows(rows, [*columns, "bad_odds", "leaked_odds", "note"], json=json)


@app.command()
def holders(
    project: Project,
    odds: Annotated[
        float | None, typer.Option(min=0, help="The least odds; those from which gold is flagged by default.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many, at most; all by default.")] = None,
    json: Json = False,
) -> None:
    """List respondents who seem to know gold's answers from elsewhere, the surest first."""
    with connect(load()) as client:
        rows = list(
            client.items(project_path(project, "gold-holders"), limit=limit, odds=None if odds is None else str(odds))
        )
    show_rows(rows, ["respondent", "odds"], json=json)


def _change(challenge: str, project: str, state: str, note: str | None, json: bool) -> None:
    with connect(load()) as client:
        path = project_path(project, "gold", challenge)
        show_fields(client.patch(path, {"state": state, "note": note}), json=json)
