"""Projects and their classes."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Double,
    ForeignKey,
    Identity,
    Integer,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Key, Now


class Project(Base):
    """A set of challenges of one kind graded under one configuration."""

    __tablename__ = "projects"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name"),
        CheckConstraint("kind IN ('choice')", "kind"),
        CheckConstraint("form IN ('full', 'coin')", "form"),
        CheckConstraint("repeats IN ('first', 'last', 'all')", "repeats"),
        CheckConstraint(
            "0 <= fail_threshold AND fail_threshold <= pass_threshold AND pass_threshold <= 1", "thresholds"
        ),
        CheckConstraint("max_classes BETWEEN 2 AND 32767", "max_classes"),
    )

    id: Mapped[Id]
    tenant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tenants.id"))
    name: Mapped[Key]
    kind: Mapped[str] = mapped_column(server_default="choice")
    classes_open: Mapped[bool] = mapped_column(Boolean)
    max_classes: Mapped[int] = mapped_column(SmallInteger)
    options_shared: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    form: Mapped[str]
    model: Mapped[str]
    repeats: Mapped[str] = mapped_column(server_default="first")
    pass_threshold: Mapped[float] = mapped_column(Double)
    fail_threshold: Mapped[float] = mapped_column(Double)
    target_error: Mapped[float] = mapped_column(Double, server_default=text("0.05"))
    min_answers: Mapped[int] = mapped_column(Integer, server_default=text("2"))
    max_answers: Mapped[int] = mapped_column(Integer, server_default=text("20"))
    cost_matrix: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    """Cost of each verdict, by class key of the truth and of the verdict; null: 1 for a wrong one."""
    answer_cost: Mapped[float] = mapped_column(Double, server_default=text("0"))
    report_step: Mapped[float] = mapped_column(Double, server_default=text("0.05"))
    """How far a confidence moves before it makes a version of its own."""
    score_answers: Mapped[int] = mapped_column(Integer, server_default=text("20"))
    """Answers below which a respondent's score is not told, and gold not held for or against them."""
    bad_gold_odds: Mapped[float] = mapped_column(Double, server_default=text("1"))
    leaked_gold_odds: Mapped[float] = mapped_column(Double, server_default=text("1"))
    configuration_id: Mapped[int | None] = mapped_column(Integer)
    current_run_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("model_runs.id", use_alter=True))
    created_at: Mapped[Now]
    updated_at: Mapped[Now]


class ProjectClass(Base):
    """One class of a project. A code never changes; an open project appends under its own row lock."""

    __tablename__ = "project_classes"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    project_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("projects.id"), primary_key=True)
    code: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    key: Mapped[Key]


class Configuration(Base):
    """The settings of a project that its verdicts depend on, as they were at some time; never updated."""

    __tablename__ = "configurations"
    __table_args__ = (UniqueConstraint("project_id", "hash"),)

    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    project_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("projects.id"))
    hash: Mapped[str]
    content: Mapped[Any] = mapped_column(JSONB)
    created_at: Mapped[Now]
