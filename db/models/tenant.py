"""Tenants and their API keys."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Now

SCOPES = ("submit", "read", "admin", "gold")


class Tenant(Base):
    """Who owns keys and projects; sees nothing of other tenants."""

    __tablename__ = "tenants"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[Now]


class ApiKey(Base):
    """An API key: only the SHA-256 of the secret is kept."""

    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint("scopes <@ '{submit,read,admin,gold}' AND cardinality(scopes) > 0", "scopes"),)

    id: Mapped[Id]
    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenants.id"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[Now]
    revoked_at: Mapped[datetime | None]
