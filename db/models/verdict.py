"""Versions of verdicts, and the feed of their changes."""

from sqlalchemy import REAL, BigInteger, CheckConstraint, Double, Index, Integer, SmallInteger
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Now
from db.models.challenge import STATUS

CAUSES = ("answers", "refit", "gold", "late-answer")


class Verdict(Base):
    """One published version of a challenge's verdict; never updated. It supersedes the version before it."""

    __tablename__ = "verdicts"
    __table_args__ = (
        CheckConstraint(STATUS, "status"),
        CheckConstraint("cause IN ('answers', 'refit', 'gold', 'late-answer')", "cause"),
    )

    challenge_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    created_at: Mapped[Now]
    confidence: Mapped[float] = mapped_column(Double)
    input_digest: Mapped[int] = mapped_column(BigInteger)
    """A sum of hashes over the counted answers: the same answers, in any order, give the same."""
    model_run_id: Mapped[int | None] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """1, 2, ... by challenge."""
    answers: Mapped[int] = mapped_column(Integer)
    skips: Mapped[int] = mapped_column(Integer)
    configuration_id: Mapped[int | None] = mapped_column(Integer)
    answer: Mapped[int | None] = mapped_column(SmallInteger)
    status: Mapped[str]
    cause: Mapped[str]
    posterior: Mapped[list[float]] = mapped_column(ARRAY(REAL))


class Outbox(Base):
    """Versions that one transaction has written and that have no place in the feed yet, in their order."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_project_id_id", "project_id", "id"),)

    id: Mapped[Id]
    """Drawn under the locks of the challenges: of one challenge, the lower is the earlier."""
    project_id: Mapped[int] = mapped_column(BigInteger)
    challenge_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    versions: Mapped[list[int]] = mapped_column(ARRAY(Integer))


class Event(Base):
    """The feed: committed versions in an order that never changes, without a gap. One sequencer per project writes."""

    __tablename__ = "events"

    project_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """1, 2, ... by project."""
    challenge_id: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(Integer)
