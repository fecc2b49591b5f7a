"""Whether the console script takes a command line, without running it."""

from collections.abc import Sequence

import typer
from typer.core import TyperGroup

from cli.main import app


def parse(words: Sequence[str]) -> None:
    """Find the command and parse its options and arguments; raises what the console script would say of them.

    Raises:
        typer.Exit: it only asks for help.
    """
    program, *rest = words
    assert program == "touchstone"
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name=program)
    while isinstance(command, TyperGroup):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, typer.Context(found, info_name=name, parent=context)
    command.make_context(context.info_name, list(rest), parent=context.parent)
