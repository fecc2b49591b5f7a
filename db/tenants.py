"""Queries on tenants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as upsert

from db.errors import ConflictError, NotFoundError
from db.models import Tenant


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A tenant as stored."""

    id: int
    name: str
    created_at: datetime


def create(connection: Connection, name: str) -> TenantRow:
    """Make a tenant.

    Raises:
        ConflictError: the name is taken.
    """
    statement = upsert(Tenant).values(name=name).on_conflict_do_nothing().returning(*_COLUMNS)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise ConflictError(f"a tenant named {name!r} exists")
    return TenantRow(*row)


def get(connection: Connection, name: str) -> TenantRow:
    """Find a tenant by name.

    Raises:
        NotFoundError: there is none.
    """
    row = connection.execute(select(*_COLUMNS).where(Tenant.name == name)).one_or_none()
    if row is None:
        raise NotFoundError(f"no tenant is named {name!r}")
    return TenantRow(*row)


def list_all(connection: Connection) -> Sequence[TenantRow]:
    """All tenants by name."""
    return [TenantRow(*row) for row in connection.execute(select(*_COLUMNS).order_by(Tenant.name))]


_COLUMNS = (Tenant.id, Tenant.name, Tenant.created_at)
