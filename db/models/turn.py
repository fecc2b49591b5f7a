"""Whose turn it is to move a project's posteriors and statistics, and what each turn has moved."""

from sqlalchemy import BigInteger, Integer, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class Turn(Base):
    """The number of the last turn; whoever takes the next one holds this row until its transaction ends."""

    __tablename__ = "turns"
    __table_args__ = {"postgresql_with": {"fillfactor": 10}}  # updated all the time, and there are few

    project_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger)
    events: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """The last position of the project's feed; who has the turn gives those behind it."""
    paid: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """The last turn up to which `respondent_statistics` says all that was moved."""


class Move(Base):
    """What a turn has moved, so that others need forget no more of what they remember; kept for the last turns, and
    while the turn owes anything (`db/owed.py`)."""

    __tablename__ = "moves"

    project_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    challenge_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    respondent_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    width: Mapped[int | None] = mapped_column(Integer)
    """Of statistics at the time, of a turn that has not written them to their rows."""
    owed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """By how much it has moved each of the respondents, likewise."""
