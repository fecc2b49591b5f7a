"""Answers that were graded."""

from datetime import datetime

from sqlalchemy import REAL, BigInteger, Boolean, Index, Integer, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base

SKIP = -1
UNTIMED = -1


class Answer(Base):
    """One respondent's answer to one challenge, with the grade it was given when it came.

    The longest table by far, so its rows are slim. There are no foreign keys: rows are written only under the
    challenge's lock in the transaction that has just read or made the parents, nothing deletes parents, and three
    look-ups per answer are what the hot path can spare. Nor is there a unique index: a batch is graded once,
    because the transaction that writes its answers ends with the fence (`db.claims.finish`), and an index on the
    batch alone takes a quarter of the room. Nothing is NULL but the grade of a skip: a row without NULLs needs no
    bitmap.
    """

    __tablename__ = "answers"
    __table_args__ = (Index("ix_answers_challenge_id", "challenge_id"), Index("ix_answers_batch_id", "batch_id"))

    batch_id: Mapped[int] = mapped_column(BigInteger)
    challenge_id: Mapped[int] = mapped_column(BigInteger)
    respondent_id: Mapped[int] = mapped_column(BigInteger)
    answered_at: Mapped[datetime]
    """When the respondent answered; when the client did not say, when the batch was accepted."""
    position: Mapped[int] = mapped_column(Integer)
    duration_ms: Mapped[int] = mapped_column(Integer, server_default=str(UNTIMED))
    """:data:`UNTIMED` where the client did not say."""
    grade: Mapped[float | None] = mapped_column(REAL)
    """Null: there is nothing to be right or wrong about."""
    choice: Mapped[int] = mapped_column(SmallInteger)
    """The class code, for projects of kind choice; :data:`SKIP` for "cannot tell"."""
    counted: Mapped[bool] = mapped_column(Boolean)
    """False: superseded, a repeat that does not count."""
    session: Mapped[str] = mapped_column(server_default="")
    """What the client calls the sitting that the answer was given in; empty where it did not say."""

    __mapper_args__ = {"primary_key": [batch_id, position]}
