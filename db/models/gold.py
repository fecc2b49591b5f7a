"""Challenges whose right answer is known, and respondents who seem to know it from elsewhere, alone or in groups."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Key, Now


class Gold(Base):
    """What is said to be the right answer to a challenge. Disputed and retired gold is graded like any challenge."""

    __tablename__ = "gold"
    __table_args__ = (
        CheckConstraint("state IN ('active', 'disputed', 'retired')", "state"),
        Index("ix_gold_project_id_challenge_id", "project_id", "challenge_id"),
        Index("ix_gold_pending", "project_id", "challenge_id", postgresql_where=text("NOT applied")),
    )

    challenge_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("challenges.id"), primary_key=True, autoincrement=False
    )
    project_id: Mapped[int] = mapped_column(BigInteger)
    answer: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[str] = mapped_column(server_default="active")
    applied: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    """Whether statistics and verdicts follow this row as it stands."""
    bad_odds: Mapped[float | None] = mapped_column(Double)
    """Odds that the answer is wrong, by what reliable respondents say."""
    leaked_odds: Mapped[float | None] = mapped_column(Double)
    """Odds that respondents know it from elsewhere."""
    note: Mapped[str | None]
    added_at: Mapped[Now]
    changed_at: Mapped[Now]


class GoldHolder(Base):
    """A respondent who seems to know gold's answers from elsewhere."""

    __tablename__ = "gold_holders"
    __table_args__ = (Index("ix_gold_holders_project_id_odds", "project_id", "odds", "respondent_id"),)

    respondent_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    project_id: Mapped[int] = mapped_column(BigInteger)
    odds: Mapped[float] = mapped_column(Double)


class Group(Base):
    """Respondents who may share what they know: behind one address, of one farm, paid by one account."""

    __tablename__ = "groups"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: Mapped[Id]
    project_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("projects.id"))
    name: Mapped[Key]
    odds: Mapped[float | None] = mapped_column(Double)
    """That its members know gold's answers from elsewhere, as the last refit found them."""


class GroupMember(Base):
    """A respondent's group; nobody is in two."""

    __tablename__ = "group_members"
    __table_args__ = (Index("ix_group_members_group_id", "group_id"),)

    respondent_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    group_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("groups.id", ondelete="CASCADE"))
