"""What was learned of projects' crowds between refits."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Now


class Population(Base):
    """A provisional prior, learned from a sample of a project's challenges. The latest holds until the next refit."""

    __tablename__ = "populations"
    __table_args__ = (Index("ix_populations_project_id_id", "project_id", "id"),)

    id: Mapped[Id]
    project_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("projects.id"))
    model: Mapped[str]
    model_version: Mapped[str]
    model_run_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("model_runs.id"))
    """The project's run at that time; with another one the row holds no longer."""
    answers: Mapped[int] = mapped_column(BigInteger)
    """How many the project had."""
    sample: Mapped[int] = mapped_column(Integer)
    """How many it was learned from."""
    prior: Mapped[Any] = mapped_column(JSONB)
    made_at: Mapped[Now]
