"""Versions of verdicts, which are the events of the feed."""

from datetime import datetime

from sqlalchemy import REAL, BigInteger, CheckConstraint, Double, Integer, SmallInteger
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Now
from db.models.challenge import STATUS

CAUSES = ("answers", "refit", "gold", "late-answer")
"""Stored by their places."""
NO_ANSWER = -1


class Bulletin(Base):
    """Consecutive events of a project that one turn has written, each a version of a verdict; never updated.

    The views `events` and `verdicts` have them one by one. An array has an element for each event, in their order; a
    row costs Postgres about the same whether it holds one event or a hundred.
    """

    __tablename__ = "bulletins"
    __table_args__ = {"postgresql_with": {"toast_tuple_target": 8160}}  # a hundred events stay in the row

    project_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    first: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """The position of the first of them: 1, 2, ... by project."""
    created_at: Mapped[Now]
    model_run_id: Mapped[int | None] = mapped_column(BigInteger)
    configuration_id: Mapped[int | None] = mapped_column(Integer)
    challenge_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    versions: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    """1, 2, ... by challenge."""
    answers: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    """What the verdict is: a class code, :data:`NO_ANSWER` where there is none."""
    confidences: Mapped[list[float]] = mapped_column(ARRAY(Double))
    statuses: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    """Places in `db.models.challenge.STATUSES`."""
    causes: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    """Places in :data:`CAUSES`."""
    answered: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    """How many answers counted, without those that say "cannot tell", which are the `skips`."""
    skips: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    digests: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    """Sums of hashes over the counted answers: the same answers, in any order, give the same."""
    posteriors: Mapped[list[float]] = mapped_column(ARRAY(REAL))
    """By class code, one behind the other: all are of as many classes."""
    answers_before: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    """What the version before said, which this one supersedes; so do the other two."""
    confidences_before: Mapped[list[float]] = mapped_column(ARRAY(Double))
    """NaN where there was no version before."""
    statuses_before: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))


class RetainedVerdict(Base):
    """The version of a verdict that was in force where a feed begins that was cut off; all before it are gone."""

    __tablename__ = "retained_verdicts"
    __table_args__ = (
        CheckConstraint(STATUS, "status"),
        CheckConstraint("cause IN ('answers', 'refit', 'gold', 'late-answer')", "cause"),
    )

    challenge_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    created_at: Mapped[datetime]
    confidence: Mapped[float] = mapped_column(Double)
    input_digest: Mapped[int] = mapped_column(BigInteger)
    model_run_id: Mapped[int | None] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(Integer)
    answers: Mapped[int] = mapped_column(Integer)
    skips: Mapped[int] = mapped_column(Integer)
    configuration_id: Mapped[int | None] = mapped_column(Integer)
    answer: Mapped[int | None] = mapped_column(SmallInteger)
    status: Mapped[str]
    cause: Mapped[str]
    posterior: Mapped[list[float]] = mapped_column(ARRAY(REAL))
