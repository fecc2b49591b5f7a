"""Answers that were graded."""

from datetime import datetime
from typing import Any

from sqlalchemy import REAL, BigInteger, Boolean, Index, Integer, SmallInteger
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base

SKIP = -1


class Answer(Base):
    """One respondent's answer to one challenge, with the grade it was given when it came.

    There are no foreign keys: rows are written only under the challenge's lock in the transaction that has just read
    or made the parents, nothing deletes parents, and three look-ups per answer are what the hot path can spare.
    """

    __tablename__ = "answers"
    __table_args__ = (Index("ix_answers_challenge_id", "challenge_id"), {"postgresql_with": {"fillfactor": 95}})

    batch_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    challenge_id: Mapped[int] = mapped_column(BigInteger)
    respondent_id: Mapped[int] = mapped_column(BigInteger)
    answered_at: Mapped[datetime]
    """When the respondent answered; when the client did not say, when the batch was accepted."""
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    duration_ms: Mapped[int | None] = mapped_column(Integer)
    grade: Mapped[float | None] = mapped_column(REAL)
    """Null: there is nothing to be right or wrong about."""
    choice: Mapped[int | None] = mapped_column(SmallInteger)
    """The class code, for projects of kind choice; :data:`SKIP` for "cannot tell"."""
    counted: Mapped[bool] = mapped_column(Boolean)
    """False: superseded, a repeat that does not count."""
    value: Mapped[Any | None] = mapped_column(JSONB)
    """The answer of every other kind."""
    session: Mapped[str | None]
    """What the client calls the sitting that the answer was given in."""
