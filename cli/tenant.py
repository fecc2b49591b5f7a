"""`touchstone tenant`: who owns keys and projects."""

from dataclasses import asdict
from typing import Annotated

import typer

from cli.database import transaction
from cli.errors import CliError
from cli.listing import show_fields, show_rows
from db import tenants

app = typer.Typer(help="Tenants: create, list.", no_args_is_help=True, add_completion=False)

_LONGEST = 64


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the tenant.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a tenant."""
    if not (name.isprintable() and name == name.strip() and 0 < len(name) <= _LONGEST):
        raise CliError(f"a tenant's name has 1 to {_LONGEST} printable characters and no blank at its ends")
    with transaction() as connection:
        tenant = tenants.create(connection, name)
    show_fields(asdict(tenant), json=json)


@app.command("list")
def list_(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List all tenants."""
    with transaction() as connection:
        rows = [asdict(tenant) for tenant in tenants.list_all(connection)]
    show_rows(rows, ["id", "name", "created_at"], json=json)
