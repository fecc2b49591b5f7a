"""Respondents and what is believed of each."""

from sqlalchemy import BigInteger, Double, Integer, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Key, Now


class Respondent(Base):
    """The name of a respondent. Never updated: what changes is in `respondent_statistics`."""

    __tablename__ = "respondents"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: Mapped[Id]
    project_id: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[Key]


class RespondentStatistics(Base):
    """Expected counts S_j: with what turns behind `turn` owe (`db/owed.py`), at every commit the sum over the stored
    raw posteriors of j's counted answers."""

    __tablename__ = "respondent_statistics"
    __table_args__ = {
        "postgresql_with": {
            "fillfactor": 70,
            "autovacuum_vacuum_scale_factor": 2,
            "autovacuum_analyze_scale_factor": 1,
        }
    }

    respondent_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    project_id: Mapped[int] = mapped_column(BigInteger)
    answers: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    accuracy: Mapped[float | None] = mapped_column(Double)
    low: Mapped[float | None] = mapped_column(Double)
    high: Mapped[float | None] = mapped_column(Double)
    updated_at: Mapped[Now]
    counts: Mapped[list[float]] = mapped_column(ARRAY(Double), server_default=text("'{}'"))
    """Packed by the project's `form`: full, K x K as [true class, answered class]; coin, [right, answers by class]."""
    gold: Mapped[list[float]] = mapped_column(ARRAY(Double), server_default=text("'{}'"))
    """What of `counts` is there because gold is clamped: counts less this are those of a project without gold."""
    skips: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    turn: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Of the project, as of which the row is right."""
