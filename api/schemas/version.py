"""Versions of verdicts on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from api.schemas.verdict import label, shares
from db.current_verdicts import Status
from db.versions import VersionRow

Cause = Literal["answers", "refit", "gold", "late-answer"]


class Version(BaseModel):
    """A verdict as it was published; it never changes."""

    version: int
    supersedes: int | None = Field(description="The version before; null for the first.")
    at: datetime
    answer: str | None
    confidence: float
    posterior: dict[str, float] = Field(description="Probability of each class.")
    status: Status
    cause: Cause = Field(description="What made it differ from the version before.")
    answers: int = Field(description="Answers that counted.")
    skips: int = Field(description='Answers that said "cannot tell".')
    model_run: str | None = Field(description="The model run whose fit or prior made it.")
    configuration: str | None = Field(description="Hash of the project's settings at the time.")
    input_digest: str = Field(description="The same for the same counted answers, in whatever order they came.")

    @classmethod
    def of(cls, row: VersionRow, classes: Sequence[str]) -> Self:
        return cls.model_validate(
            {
                "version": row.version,
                "supersedes": row.version - 1 or None,
                "at": row.at,
                "answer": label(row.answer, classes),
                "confidence": row.confidence,
                "posterior": shares(row.posterior, classes),
                "status": row.status,
                "cause": row.cause,
                "answers": row.answers,
                "skips": row.skips,
                "model_run": row.model_run,
                "configuration": row.configuration,
                "input_digest": f"{row.input_digest % 2**64:016x}",
            }
        )
