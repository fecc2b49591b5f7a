"""Batches on the wire."""

import uuid
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from db.batches import BatchRow

Lane = Literal["live", "bulk"]
State = Literal["waiting", "claimed", "graded", "dead", "cancelled"]


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
