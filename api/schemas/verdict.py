"""Verdicts on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from db.consensus import VerdictRow


class Verdict(BaseModel):
    """The consensus on one challenge."""

    challenge: str
    answer: str | None
    confidence: float | None
    posterior: dict[str, float] = Field(description="Probability of each class.")
    answers: int = Field(description="Answers that count.")
    final: bool = Field(description="From a model run, with no answer since; else provisional.")
    model_run: str | None = Field(description="The model run whose fit or prior made it.")
    updated_at: datetime

    @classmethod
    def of(cls, row: VerdictRow, classes: Sequence[str]) -> Self:
        return cls(
            challenge=row.challenge,
            answer=None if row.answer is None else classes[row.answer],
            confidence=row.confidence,
            posterior=shares(row.posterior, classes),
            answers=row.answers,
            final=row.final,
            model_run=row.model_run,
            updated_at=row.updated_at,
        )


def shares(posterior: Sequence[float], classes: Sequence[str]) -> dict[str, float]:
    """A posterior by class; classes added since it was computed have nothing yet."""
    padded = [*posterior, *[0.0] * (len(classes) - len(posterior))]
    return dict(zip(classes, padded, strict=False))
