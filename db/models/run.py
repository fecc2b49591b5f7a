"""Model runs."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Now


class ModelRun(Base):
    """One refit of a project. At most one waits and one runs at a time."""

    __tablename__ = "model_runs"
    __table_args__ = (
        UniqueConstraint("uid"),
        CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", "state"),
        CheckConstraint("cause IN ('requested', 'growth', 'age', 'gold')", "cause"),
        Index("uq_model_runs_waiting", "project_id", unique=True, postgresql_where=text("state = 'waiting'")),
        Index("uq_model_runs_running", "project_id", unique=True, postgresql_where=text("state = 'running'")),
        Index("ix_model_runs_project_id_id", "project_id", "id"),
    )

    id: Mapped[Id]
    uid: Mapped[uuid.UUID] = mapped_column(server_default=text("gen_random_uuid()"))
    project_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("projects.id"))
    state: Mapped[str] = mapped_column(server_default="waiting")
    cause: Mapped[str]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    claim_id: Mapped[uuid.UUID | None]
    lease_until: Mapped[datetime | None]
    requested_at: Mapped[Now]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    model: Mapped[str | None]
    model_version: Mapped[str | None]
    build: Mapped[str | None]
    """Torch version and CPU or CUDA capability: within one of these a refit is the same bit for bit."""
    input_digest: Mapped[str | None]
    answers: Mapped[int | None] = mapped_column(BigInteger)
    challenges: Mapped[int | None] = mapped_column(Integer)
    respondents: Mapped[int | None] = mapped_column(Integer)
    iterations: Mapped[int | None] = mapped_column(Integer)
    converged: Mapped[bool | None] = mapped_column(Boolean)
    prior: Mapped[Any | None] = mapped_column(JSONB)
    """The population's priors that live grading uses once the run is current."""
    metrics: Mapped[Any | None] = mapped_column(JSONB)
    error: Mapped[str | None]
