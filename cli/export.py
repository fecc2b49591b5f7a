"""`touchstone export`: a project's verdicts, respondents or grades as a file."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import typer
from rich import filesize
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from api.formats import FORMATS
from api.tables import ROWS
from cli.client import connect, project_path
from cli.errors import CliError
from config.settings import load

What = Literal["verdicts", "respondents", "grades"]
MEDIA_TYPES = {form.extension: form.media_type for form in FORMATS}
Moments = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]

_VERDICTS = "Verdicts"
_RESPONDENTS = "Respondents"
_GRADES = "Grades"
_MAY_SAY = {
    "verdicts": {
        "status",
        "answer",
        "min_confidence",
        "max_confidence",
        "updated_after",
        "updated_before",
        "min_version",
        "min_answers",
        "max_answers",
    },
    "respondents": {"min_answers", "max_answers", "min_accuracy", "max_accuracy", "order"},
    "grades": {"accepted_after", "accepted_before"},
}


def export(
    project: Annotated[str, typer.Option(help="Name of the project.")],
    what: Annotated[What, typer.Option(help="What to write.")] = "verdicts",
    format: Annotated[Literal["csv", "ndjson", "parquet"], typer.Option(help="Form of the file.")] = "csv",  # noqa: A002
    out: Annotated[Path | None, typer.Option(help="File to write; else standard output.")] = None,
    status: Annotated[list[str] | None, typer.Option(help="Any of these.", rich_help_panel=_VERDICTS)] = None,
    answer: Annotated[str | None, typer.Option(help="A class.", rich_help_panel=_VERDICTS)] = None,
    min_confidence: Annotated[float | None, typer.Option(rich_help_panel=_VERDICTS)] = None,
    max_confidence: Annotated[float | None, typer.Option(rich_help_panel=_VERDICTS)] = None,
    updated_after: Annotated[datetime | None, typer.Option(formats=Moments, rich_help_panel=_VERDICTS)] = None,
    updated_before: Annotated[datetime | None, typer.Option(formats=Moments, rich_help_panel=_VERDICTS)] = None,
    min_version: Annotated[int | None, typer.Option(rich_help_panel=_VERDICTS)] = None,
    min_answers: Annotated[int | None, typer.Option(rich_help_panel=_RESPONDENTS)] = None,
    max_answers: Annotated[int | None, typer.Option(rich_help_panel=_RESPONDENTS)] = None,
    min_accuracy: Annotated[float | None, typer.Option(rich_help_panel=_RESPONDENTS)] = None,
    max_accuracy: Annotated[float | None, typer.Option(rich_help_panel=_RESPONDENTS)] = None,
    order: Annotated[
        str | None, typer.Option(help="key, accuracy, answers; -accuracy, -answers.", rich_help_panel=_RESPONDENTS)
    ] = None,
    accepted_after: Annotated[datetime | None, typer.Option(formats=Moments, rich_help_panel=_GRADES)] = None,
    accepted_before: Annotated[datetime | None, typer.Option(formats=Moments, rich_help_panel=_GRADES)] = None,
) -> None:
    """Write the current verdicts by challenge, the respondents, or the grades of all answers, as the API gives them."""
    given: dict[str, str | int | float | list[str] | None] = {
        "status": status or None,
        "answer": answer,
        "min_confidence": min_confidence,
        "max_confidence": max_confidence,
        "updated_after": None if updated_after is None else updated_after.isoformat(),
        "updated_before": None if updated_before is None else updated_before.isoformat(),
        "min_version": min_version,
        "min_answers": min_answers,
        "max_answers": max_answers,
        "min_accuracy": min_accuracy,
        "max_accuracy": max_accuracy,
        "order": order,
        "accepted_after": None if accepted_after is None else accepted_after.isoformat(),
        "accepted_before": None if accepted_before is None else accepted_before.isoformat(),
    }
    if strange := [name for name, value in given.items() if value is not None and name not in _MAY_SAY[what]]:
        raise CliError(f"--{strange[0].replace('_', '-')} says nothing of {what}")
    path = project_path(project, what)
    with (
        connect(load()) as client,
        client.stream(path, MEDIA_TYPES[format], **given) as response,
        _opened(out) as file,
        _progress(quiet=out is None) as progress,
    ):
        rows = int(response.headers[ROWS])
        task = progress.add_task(f"{rows:,} {what}", total=None if format == "parquet" else rows, written=0)
        for chunk in response.iter_bytes():
            file.write(chunk)
            shown = None if format == "parquet" else chunk.count(b"\n")
            progress.update(task, advance=shown, written=response.num_bytes_downloaded)
        progress.update(task, total=rows, completed=rows)


def _progress(*, quiet: bool) -> Progress:
    """A bar over the rows, where they can be seen in what comes. `quiet`: none where the file itself is shown."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), _Written(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal or (quiet and sys.stdout.isatty()))


class _Written(ProgressColumn):
    """How much has come."""

    def render(self, task: Task) -> Text:
        return Text(filesize.decimal(task.fields["written"]))


@contextmanager
def _opened(out: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that stands under its name only once it is whole."""
    if out is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise CliError(f"standard output: {error.strerror}") from None
        return
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with draft.open("xb") as file:
            yield file
        draft.replace(out)
    except OSError as error:
        raise CliError(f"{out}: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
