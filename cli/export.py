"""`touchstone export`: a project's verdicts as a file."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import typer

from cli.client import connect, project_path
from cli.errors import CliError
from config.settings import load

MEDIA_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}


def export(
    project: Annotated[str, typer.Option(help="Name of the project.")],
    format: Annotated[Literal["csv", "ndjson"], typer.Option(help="Form of the file.")] = "csv",  # noqa: A002
    out: Annotated[Path | None, typer.Option(help="File to write; else standard output.")] = None,
) -> None:
    """Write the current verdict on every challenge, by challenge, as they come from the API."""
    path = project_path(project, "verdicts")
    with connect(load()) as client, client.stream(path, MEDIA_TYPES[format]) as response, _opened(out) as file:
        for chunk in response.iter_bytes():
            file.write(chunk)


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
