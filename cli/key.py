"""`touchstone key`: API keys."""

from contextlib import suppress
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from cli.database import transaction
from cli.listing import show_fields, show_json, show_rows
from db import keys, tenants
from db.errors import ConflictError

app = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True, add_completion=False)


class Scope(StrEnum):
    """What a key may do."""

    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"
    GOLD = "gold"


@app.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose key it is.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; may be given several times.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    create_tenant: Annotated[bool, typer.Option("--create-tenant", help="Make the tenant if it is missing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a key and print it: it is never shown again."""
    with transaction() as connection:
        if create_tenant:
            with suppress(ConflictError):
                tenants.create(connection, tenant)
        owner = tenants.get(connection, tenant)
        key_id, secret = keys.create(connection, owner.id, name, scope)
    if json:
        show_json({"key": secret, "id": key_id, "tenant": tenant, "name": name, "scopes": sorted(set(scope))})
    else:
        typer.echo(f"key {key_id}, shown this once:", err=True)
        typer.echo(secret)


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Keys of this tenant only.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List keys, revoked ones included, without their secrets."""
    with transaction() as connection:
        if tenant is not None:
            tenants.get(connection, tenant)
        rows = [asdict(key) for key in keys.list_all(connection, tenant)]
    columns = ["id", "tenant", "name", "prefix", "scopes", "created_at", "revoked_at"]
    show_rows(rows, columns, json=json)


@app.command()
def revoke(
    key_id: Annotated[int, typer.Argument(metavar="ID", help="The key's id, as `key list` shows it.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Revoke a key: within seconds no request with it is let in."""
    with transaction() as connection:
        keys.revoke(connection, key_id)
    show_fields({"id": key_id, "revoked": True}, json=json)
