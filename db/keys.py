"""API keys: 256 random bits, shown once, kept as SHA-256."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from db.errors import NotFoundError
from db.models import ApiKey, Tenant

MARK = "ts_"
"""Every key starts with it, so that scanners for leaked secrets can find them."""
SHOWN = len(MARK) + 6
"""Characters of a key that are kept to recognise it by."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: what a valid key says."""

    key_id: int
    tenant_id: int
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as stored; the secret is not."""

    id: int
    tenant: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None


def digest(secret: str) -> bytes:
    """The SHA-256 a key is stored as. A slow hash would add nothing: the secret has 256 bits."""
    return hashlib.sha256(secret.encode()).digest()


def create(connection: Connection, tenant_id: int, name: str, scopes: Sequence[str]) -> tuple[int, str]:
    """Make a key; returns its id and the secret, which can never be read again."""
    secret = MARK + secrets.token_urlsafe(32)
    key_id = connection.execute(
        insert(ApiKey)
        .values(
            tenant_id=tenant_id, name=name, prefix=secret[:SHOWN], digest=digest(secret), scopes=sorted(set(scopes))
        )
        .returning(ApiKey.id)
    ).scalar_one()
    return key_id, secret


def principal(connection: Connection, key_digest: bytes) -> Principal | None:
    """Who owns the unrevoked key with this digest."""
    row = connection.execute(
        select(ApiKey.id, ApiKey.tenant_id, ApiKey.scopes).where(
            ApiKey.digest == key_digest, ApiKey.revoked_at.is_(None)
        )
    ).one_or_none()
    return None if row is None else Principal(row.id, row.tenant_id, frozenset(row.scopes))


def list_all(connection: Connection, tenant: str | None = None) -> Sequence[KeyRow]:
    """Keys, of one tenant or of all, oldest first; revoked ones included."""
    query = (
        select(
            ApiKey.id,
            Tenant.name,
            ApiKey.name,
            ApiKey.prefix,
            ApiKey.scopes,
            ApiKey.created_at,
            ApiKey.revoked_at,
        )
        .join(Tenant, Tenant.id == ApiKey.tenant_id)
        .order_by(ApiKey.id)
    )
    if tenant is not None:
        query = query.where(Tenant.name == tenant)
    return [KeyRow(*row) for row in connection.execute(query)]


def revoke(connection: Connection, key_id: int) -> None:
    """Revoke a key; again is no error.

    Raises:
        NotFoundError: there is no such key.
    """
    statement = (
        update(ApiKey).where(ApiKey.id == key_id).values(revoked_at=func.coalesce(ApiKey.revoked_at, func.now()))
    )
    if connection.execute(statement).rowcount == 0:
        raise NotFoundError(f"no key has the id {key_id}")
