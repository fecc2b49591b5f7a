"""`touchstone db`: migrations, from a checkout as from the installed wheel."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from cli.database import translated
from cli.errors import CliError
from config.settings import load
from migrations.configuration import configuration

app = typer.Typer(help="Migrate the database.", no_args_is_help=True, add_completion=False)


@app.command()
def upgrade(revision: Annotated[str, typer.Argument(help="Where to stop.")] = "head") -> None:
    """Bring the database to a revision, by default the newest."""
    with _configured() as config:
        command.upgrade(config, revision)
        command.current(config)


@app.command(context_settings={"ignore_unknown_options": True})
def downgrade(revision: Annotated[str, typer.Argument(help="`base`, a revision, or -1 for one back.")]) -> None:
    """Take migrations back. Tables that they made are dropped with their rows."""
    with _configured() as config:
        command.downgrade(config, revision)
        command.current(config)


@app.command()
def current() -> None:
    """Show the revision that the database is at; nothing when it is empty."""
    with _configured() as config:
        command.current(config)


@app.command()
def check() -> None:
    """Exit with 1 when the database is not at the newest revision, or the models have what no migration makes."""
    with _configured() as config:
        try:
            command.current(config, check_heads=True)
            command.check(config)
        except CommandError as error:
            typer.echo(f"drift: {error}", err=True)
            raise typer.Exit(1) from None


@app.command()
def revision(
    message: Annotated[str, typer.Option("--message", "-m", help="What it does, in a few words.")],
    autogenerate: Annotated[bool, typer.Option(help="Write down what the models have and the database lacks.")] = True,
) -> None:
    """Write a new migration, to be read and corrected by hand."""
    with _configured() as config:
        head = ScriptDirectory.from_config(config).get_current_head()
        command.revision(config, message, autogenerate=autogenerate, rev_id=f"{int(head or 0) + 1:04d}")


@contextmanager
def _configured() -> Iterator[Config]:
    """Alembic's configuration for the configured database.

    Raises:
        CliError: alembic or the database refuses.
    """
    config = configuration(load().require_direct_url())
    try:
        with translated():
            yield config
    except CommandError as error:
        raise CliError(str(error)) from None
