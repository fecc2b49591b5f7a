"""Challenges on the wire: how far each has come."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from api.schemas.verdict import label
from db.current_verdicts import Status, VerdictRow


class Challenge(BaseModel):
    """How far a challenge has come; its verdict has the posterior."""

    challenge: str
    status: Status
    answers: int = Field(description="Answers that count; late ones, too.")
    skips: int = Field(description='Answers that count and say "cannot tell"; they are not among `answers`.')
    answer: str | None
    confidence: float | None
    version: int = Field(description="How many versions its verdict has had.")
    updated_at: datetime

    @classmethod
    def of(cls, row: VerdictRow, classes: Sequence[str]) -> Self:
        return cls(
            challenge=row.challenge,
            status=row.status,
            answers=row.answers,
            skips=row.skips,
            answer=label(row.answer, classes),
            confidence=row.confidence,
            version=row.version,
            updated_at=row.updated_at,
        )
