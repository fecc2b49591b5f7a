"""Batches, the bodies they came in, and answers of theirs that could not be graded."""

import uuid
from datetime import date, datetime

from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Now

LANES = ("live", "bulk")
STATES = ("waiting", "claimed", "graded", "dead", "cancelled")


class Batch(Base):
    """The answers of one POST: the unit of enqueuing, claiming and idempotency."""

    __tablename__ = "batches"
    __table_args__ = (
        UniqueConstraint("project_id", "idempotency_key"),
        UniqueConstraint("uid"),
        CheckConstraint("lane IN ('live', 'bulk')", "lane"),
        CheckConstraint("state IN ('waiting', 'claimed', 'graded', 'dead', 'cancelled')", "state"),
        CheckConstraint("(state = 'claimed') = (claim_id IS NOT NULL AND lease_until IS NOT NULL)", "claim"),
        Index(
            "ix_batches_waiting",
            "project_id",
            "lane",
            "due_at",
            postgresql_include=["size"],
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_batches_claimed", "lease_until", postgresql_where=text("state = 'claimed'")),
        Index("ix_batches_graded", "project_id", "finished_at", postgresql_where=text("state = 'graded'")),
        Index("ix_batches_project_id_id", "project_id", "id"),
        Index("ix_batches_ended", "project_id", "id", postgresql_where=text("state IN ('dead', 'cancelled')")),
        {"postgresql_with": {"autovacuum_analyze_scale_factor": 0.5}},  # each row is updated twice
    )

    id: Mapped[Id]
    """The accept sequence."""
    uid: Mapped[uuid.UUID]
    """The identifier that clients see."""
    project_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("projects.id"))
    claim_id: Mapped[uuid.UUID | None]
    lease_until: Mapped[datetime | None]
    due_at: Mapped[Now]
    accepted_at: Mapped[Now]
    finished_at: Mapped[datetime | None]
    answers: Mapped[int] = mapped_column(Integer)
    """Answers received, rejected ones included."""
    size: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Bytes of its body, decompressed."""
    rejected: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    done: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Answers that are graded while the rest waits: the batch was revived, or others held some of its challenges."""
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    lane: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="waiting")
    idempotency_key: Mapped[str]
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of the decompressed body, its media type and the options of the POST."""
    reply: Mapped[bytes] = mapped_column(LargeBinary)
    """The reply of the first POST, given again to a repeated one."""
    error: Mapped[str | None]


class Payload(Base):
    """The decompressed body of a batch as received; partitioned by day so that old days are dropped whole."""

    __tablename__ = "payloads"
    __table_args__ = {"postgresql_partition_by": "RANGE (accepted_on)"}

    accepted_on: Mapped[date] = mapped_column(Date, primary_key=True)
    batch_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    media_type: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)


class Failure(Base):
    """An answer of a batch that is not graded: rejected (its content) or dead (grading it failed; revivable)."""

    __tablename__ = "failures"
    __table_args__ = (CheckConstraint("state IN ('rejected', 'dead')", "state"),)

    batch_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("batches.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    state: Mapped[str]
    reason: Mapped[str]


class Score(Base):
    """What was believed of a respondent when a batch, or one sitting of it, was graded."""

    __tablename__ = "scores"

    batch_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    respondent_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    session: Mapped[str] = mapped_column(primary_key=True, server_default="")
    answers: Mapped[int] = mapped_column(Integer)
    score: Mapped[float] = mapped_column(REAL)
    low: Mapped[float] = mapped_column(REAL)
    high: Mapped[float] = mapped_column(REAL)
