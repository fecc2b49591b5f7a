"""Answers that were graded."""

from datetime import datetime

from sqlalchemy import REAL, BigInteger, Boolean, Integer, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base

SKIP = -1
UNTIMED = -1


class Sheet(Base):
    """Answers of one batch that were graded together, a column each; the view `answers` has them one by one.

    By far the most of what is stored is here, and a row costs Postgres about the same whether it holds one answer or a
    hundred. What most answers do not say is no array but NULL. There are no foreign keys: nothing deletes parents.
    """

    __tablename__ = "sheets"
    __table_args__ = {"postgresql_with": {"toast_tuple_target": 8160}}  # a hundred answers stay in the row

    batch_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    accepted_at: Mapped[datetime]
    """When the batch was: at that time answers were given of which the client did not say when."""
    first: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """The lowest position; no two sheets of a batch share one, so that nothing can be stored twice."""
    challenge_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    respondent_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    choices: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    """Class codes, for projects of kind choice; :data:`SKIP` for "cannot tell"."""
    grades: Mapped[list[float]] = mapped_column(ARRAY(REAL))
    """As they were given when the answers came; NaN of a skip: there is nothing to be right or wrong about."""
    positions: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    """NULL: from `first` on without a gap."""
    answered_at: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    """Microseconds since 1970; NULL: the client did not say of any."""
    durations: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    """Milliseconds, :data:`UNTIMED` where the client did not say; NULL: of none."""
    counted: Mapped[list[bool] | None] = mapped_column(ARRAY(Boolean))
    """False: superseded, a repeat that does not count; NULL: all count."""
    sessions: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """What the client calls the sittings that the answers were given in, empty where it did not say; NULL: of none."""
