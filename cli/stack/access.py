"""The tenant and the key that the embedded stack makes by itself."""

from pathlib import Path

from sqlalchemy import Connection

from cli.database import translated
from cli.stack.secret import write_private
from db import keys, tenants
from db.engine import make_engine
from db.errors import NotFoundError

TENANT = "default"
SCOPES = ("submit", "read", "admin", "gold")


def keep_key(database_url: str, path: Path) -> None:
    """See to it that the file holds a key with all scopes that is valid in this database.

    Raises:
        CliError: the database refuses.
    """
    engine = make_engine(database_url, pool_size=1, name="touchstone up")
    try:
        with translated(), engine.begin() as connection:
            known = path.read_text().strip() if path.exists() else ""
            owner = keys.principal(connection, keys.digest(known)) if known else None
            if owner is None or not owner.scopes.issuperset(SCOPES):
                _, secret = keys.create(connection, _tenant(connection), "embedded", SCOPES)
                connection.commit()
                write_private(path, secret)
    finally:
        engine.dispose()


def _tenant(connection: Connection) -> int:
    try:
        return tenants.get(connection, TENANT).id
    except NotFoundError:
        return tenants.create(connection, TENANT).id
