"""The console script `touchstone`: one noun a file, imported when it is called."""

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from cli.errors import CliError
from config.settings import SettingsError

NOUNS = {
    "up": "Run the whole stack until Ctrl-C.",
    "demo": "Grade a simulated crowd on a stack of its own and show what was found.",
    "serve": "Serve the HTTP API.",
    "worker": "Run one worker process.",
    "beat": "Run the schedule.",
    "flower": "Run Flower behind a password.",
    "db": "Migrate the database.",
    "tenant": "Tenants: create, list.",
    "key": "API keys: create, list, revoke.",
    "project": "Projects: create, list, show, set.",
    "gold": "Gold: import, add, dispute, reinstate, retire, list, holders.",
    "group": "Groups of respondents who may share what they know: put, list, remove.",
    "submit": "Send a file of answers to a project.",
    "refit": "Fit a project's model on all its answers.",
    "batch": "Batches: list, show, retry, cancel.",
    "status": "What waits, what is graded, what is lost.",
    "export": "Write a project's verdicts, respondents or grades.",
    "events": "Print every change of a project's verdicts, as they come.",
    "explain": "Say why a verdict is what it is, and what it would take to change it.",
    "grade": "Grade a file offline, without servers.",
}


class _Nouns(TyperGroup):
    """Lists the nouns without importing them; imports the one that is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, _load(name) if name else command, rest


app = typer.Typer(
    cls=_Nouns,
    help="Grades challenge answers: infers the right answer and whom to trust, live, and says how sure it is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _listed(noun: str, text: str) -> None:
    @app.command(noun, help=text)
    def _() -> None: ...


for _noun, _text in NOUNS.items():
    _listed(_noun, _text)


def main(arguments: list[str] | None = None) -> None:
    """Run the console script. What the user can mend is one line on standard error and exit code 2."""
    try:
        typer.main.get_command(app).main(arguments, prog_name="touchstone")
    except (CliError, SettingsError) as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(2)


def _load(noun: str) -> Any:
    """The command of `cli/NOUN.py`: its `app`, or its function named like the noun."""
    module = import_module(f"cli.{noun}")
    found = getattr(module, "app", None)
    if found is None:
        found = typer.Typer(add_completion=False)
        found.command(noun)(getattr(module, noun))
    command = typer.main.get_command(found)
    command.name = noun
    return command


if __name__ == "__main__":
    main()
