"""`touchstone project`: what is graded, and how."""

from typing import Annotated, Any, Literal

import typer

from cli.client import connect, project_path
from cli.errors import CliError
from cli.listing import show_fields, show_rows
from config.settings import load

app = typer.Typer(help="Projects: create, list, show, set.", no_args_is_help=True, add_completion=False)

Repeats = Literal["first", "last", "all"]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the project.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Model = Annotated[str | None, typer.Option(help="Consensus model.")]
Counting = Annotated[Repeats | None, typer.Option(help="Which of several answers of one respondent counts.")]
Pass = Annotated[float | None, typer.Option(min=0, max=1, help="An answer graded this or more passes.")]
Fail = Annotated[float | None, typer.Option(min=0, max=1, help="An answer graded this or less fails.")]
Target = Annotated[float | None, typer.Option(help="A verdict is settled once its expected cost is below this.")]
Least = Annotated[int | None, typer.Option(min=1, help="Answers below which no verdict is settled.")]
Most = Annotated[int | None, typer.Option(min=1, help="Answers at which an open verdict becomes ambiguous.")]
Step = Annotated[float | None, typer.Option(help="How far a confidence moves before it makes a version of its own.")]


@app.command()
def create(
    name: Name,
    class_: Annotated[list[str] | None, typer.Option("--class", help="A class; to be given for each.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Take classes as answers bring them.")] = False,
    max_classes: Annotated[int | None, typer.Option(min=2, help="How many, at most; with --open.")] = None,
    options_differ: Annotated[
        bool, typer.Option("--options-differ", help="The same option means something else in every challenge.")
    ] = False,
    model: Model = None,
    repeats: Counting = None,
    pass_threshold: Pass = None,
    fail_threshold: Fail = None,
    target_error: Target = None,
    min_answers: Least = None,
    max_answers: Most = None,
    report_step: Step = None,
    json: Json = False,
) -> None:
    """Make a project: its classes are declared, each with --class, or --open."""
    if bool(class_) == open_:
        raise CliError("give each class with --class, or --open")
    if max_classes is not None and not open_:
        raise CliError("--max-classes goes with --open")
    body = _given(
        name=name,
        classes="open" if open_ else class_,
        max_classes=max_classes,
        options_shared=False if options_differ else None,
        model=model,
        repeats=repeats,
        pass_threshold=pass_threshold,
        fail_threshold=fail_threshold,
        target_error=target_error,
        min_answers=min_answers,
        max_answers=max_answers,
        report_step=report_step,
    )
    with connect(load()) as client:
        show_fields(client.post("projects", body), json=json)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the projects of the key's tenant."""
    with connect(load()) as client:
        rows = list(client.items("projects"))
    show_rows(rows, ["name", "classes", "classes_open", "model", "repeats", "model_run", "created_at"], json=json)


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Show one project."""
    with connect(load()) as client:
        show_fields(client.get(project_path(name)), json=json)


@app.command("set")
def set_(
    name: Name,
    model: Model = None,
    repeats: Counting = None,
    pass_threshold: Pass = None,
    fail_threshold: Fail = None,
    target_error: Target = None,
    min_answers: Least = None,
    max_answers: Most = None,
    report_step: Step = None,
    json: Json = False,
) -> None:
    """Change a project. How repeats count can change only before its first batch."""
    body = _given(
        model=model,
        repeats=repeats,
        pass_threshold=pass_threshold,
        fail_threshold=fail_threshold,
        target_error=target_error,
        min_answers=min_answers,
        max_answers=max_answers,
        report_step=report_step,
    )
    if not body:
        raise CliError("nothing to change: see `touchstone project set --help`")
    with connect(load()) as client:
        show_fields(client.patch(project_path(name), body), json=json)


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
