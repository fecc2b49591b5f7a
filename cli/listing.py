"""How the command line shows rows: aligned text for eyes, JSON for programs."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
import typer

Fields = Mapping[str, object]


def show_rows(rows: Sequence[Fields], columns: Sequence[str], *, json: bool) -> None:
    """Print a list: the named columns, never cut; or, as JSON, all that is known of each row."""
    if json:
        show_json(rows)
        return
    typer.echo(aligned(rows, columns))


def show_fields(fields: Fields, *, json: bool) -> None:
    """Print one thing, a line a field; or all of it as JSON."""
    if json:
        show_json(fields)
        return
    width = max(map(len, fields))
    for name, value in fields.items():
        typer.echo(f"{name:{width}}  {cell(value)}")


def show_json(value: object) -> None:
    """Print a value as one line of JSON."""
    typer.echo(msgspec.json.encode(value).decode())


def aligned(rows: Sequence[Fields], columns: Sequence[str]) -> str:
    """A table in plain text: a header, then a line a row."""
    table = [tuple(columns), *(tuple(cell(row[column]) for column in columns) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in table)


def cell(value: object) -> str:
    """A value on one line, with nothing in it that a terminal would obey."""
    match value:
        case None:
            text = "-"
        case bool():
            text = "yes" if value else "no"
        case int():
            text = f"{value:,}"
        case float():
            text = f"{value:.6g}"
        case datetime():
            text = f"{value:%Y-%m-%d %H:%M:%S%z}"
        case list() | tuple():
            text = ", ".join(map(str, value))
        case dict():
            text = ", ".join(f"{name} {item}" for name, item in value.items())
        case _:
            text = str(value)
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
