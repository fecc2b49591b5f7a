"""Projects and their classes."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Double, ForeignKey, SmallInteger, UniqueConstraint, text
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
