"""Batches and their grades on the wire."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from db.batches import BatchRow, GradeRow
from db.models.answer import SKIP
from db.projects import ProjectRow

Lane = Literal["live", "bulk"]
State = Literal["waiting", "claimed", "graded", "dead", "cancelled"]
AnswerState = Literal["graded", "superseded", "rejected", "dead"]
Outcome = Literal["pass", "fail", "undecided"]


class Counts(BaseModel):
    """Answers of a batch by state; they add up to its answers."""

    waiting: int
    graded: int
    superseded: int
    rejected: int
    dead: int
    cancelled: int


class Batch(BaseModel):
    """The answers of one POST."""

    id: uuid.UUID
    project: str
    lane: Lane
    state: State
    attempts: int
    answers: int
    counts: Counts
    error: str | None = Field(description="Why the last attempt failed.")
    accepted_at: datetime
    due_at: datetime = Field(description="Not graded before.")
    finished_at: datetime | None
    idempotency_key: str

    @classmethod
    def of(cls, row: BatchRow, project: str) -> Self:
        return cls.model_validate(
            {
                "id": row.uid,
                "project": project,
                "lane": row.lane,
                "state": row.state,
                "attempts": row.attempts,
                "answers": row.answers,
                "counts": row.counts,
                "error": row.error,
                "accepted_at": row.accepted_at,
                "due_at": row.due_at,
                "finished_at": row.finished_at,
                "idempotency_key": row.idempotency_key,
            }
        )


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
        return cls.model_validate(
            {
                "position": row.position,
                "challenge": row.challenge,
                "respondent": row.respondent,
                "answer": _class(row.choice, project.classes),
                "skip": row.choice == SKIP,
                "state": row.state,
                "grade": row.grade,
                "outcome": outcome(row.grade, project.fail_threshold, project.pass_threshold),
                "current_grade": row.current,
                "current_outcome": outcome(row.current, project.fail_threshold, project.pass_threshold),
                "reason": row.reason,
            }
        )


def outcome(grade: float | None, fail: float, passing: float) -> Outcome | None:
    """What a grade means under a project's thresholds."""
    if grade is None:
        return None
    if grade >= passing:
        return "pass"
    return "fail" if grade <= fail else "undecided"


def _class(code: int | None, classes: Sequence[str]) -> str | None:
    return None if code is None or code == SKIP else classes[code]
