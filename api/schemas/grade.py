"""Grades on the wire: of one batch, or of a whole project."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from api.tables import Column, Table
from db.grades import GradeRow
from db.models.answer import SKIP
from db.projects import ProjectRow

AnswerState = Literal["graded", "superseded", "rejected", "dead"]
Outcome = Literal["pass", "fail", "undecided"]


class Grade(BaseModel):
    """What became of one answer."""

    position: int = Field(description="Index of the answer in its batch.")
    challenge: str | None
    respondent: str | None
    answer: str | None = Field(description="Null for a skip.")
    skip: bool = Field(description="The respondent could not tell.")
    state: AnswerState
    grade: float | None = Field(description="Probability that the answer is right, as believed when it came.")
    outcome: Outcome | None = Field(description="The grade by the project's present thresholds.")
    current_grade: float | None = Field(description="The same probability, as the consensus has it now.")
    current_outcome: Outcome | None
    reason: str | None

    @classmethod
    def of(cls, row: GradeRow, project: ProjectRow) -> Self:
        return cls.model_validate(_fields(row, project))


class GivenGrade(Grade):
    """What became of one answer of a project."""

    batch: uuid.UUID
    session: str | None = Field(description="What the client called the sitting.")
    answered_at: datetime | None = Field(description="Null of answers that were rejected or are dead.")


def outcome(grade: float | None, fail: float, passing: float) -> Outcome | None:
    """What a grade means under a project's thresholds."""
    if grade is None:
        return None
    if grade >= passing:
        return "pass"
    return "fail" if grade <= fail else "undecided"


def grade_table(project: ProjectRow) -> Table[GradeRow]:
    """The columns of grades in files."""
    columns = (
        Column("batch", "label"),
        Column("position", "count"),
        Column("challenge", "text"),
        Column("respondent", "text"),
        Column("session", "text"),
        Column("answered_at", "time"),
        Column("answer", "label"),
        Column("skip", "flag"),
        Column("state", "label"),
        Column("grade", "number"),
        Column("outcome", "label"),
        Column("current_grade", "number"),
        Column("current_outcome", "label"),
        Column("reason", "text"),
    )

    def cells(row: GradeRow) -> Sequence[object]:
        fields = _fields(row, project)
        return [fields[column.name] for column in columns]

    return Table(columns, cells, document=lambda row: GivenGrade.of(row, project))


def _fields(row: GradeRow, project: ProjectRow) -> dict[str, object]:
    fail, passing = project.fail_threshold, project.pass_threshold
    return {
        "batch": row.batch,
        "position": row.position,
        "challenge": row.challenge,
        "respondent": row.respondent,
        "answer": None if row.choice is None or row.choice == SKIP else project.classes[row.choice],
        "skip": row.choice == SKIP,
        "state": row.state,
        "grade": row.grade,
        "outcome": outcome(row.grade, fail, passing),
        "current_grade": row.current,
        "current_outcome": outcome(row.current, fail, passing),
        "reason": row.reason,
        "session": row.session,
        "answered_at": row.answered_at,
    }
