"""Verdicts on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from api.tables import Column, Table
from db.current_verdicts import Status, VerdictRow


class Verdict(BaseModel):
    """The consensus on one challenge."""

    challenge: str
    answer: str | None
    confidence: float | None
    status: Status
    version: int = Field(description="The latest in the challenge's versions; the confidence may have moved a little.")
    posterior: dict[str, float] = Field(description="Probability of each class.")
    answers: int = Field(description="Answers that count.")
    skips: int = Field(description='Answers that count and say "cannot tell"; they are not among `answers`.')
    final: bool = Field(description="From a model run, with no answer since; else provisional.")
    model_run: str | None = Field(description="The model run whose fit or prior made it.")
    updated_at: datetime

    @classmethod
    def of(cls, row: VerdictRow, classes: Sequence[str]) -> Self:
        return cls(
            challenge=row.challenge,
            answer=label(row.answer, classes),
            confidence=row.confidence,
            status=row.status,
            version=row.version,
            posterior=shares(row.posterior, classes),
            answers=row.answers,
            skips=row.skips,
            final=row.final,
            model_run=row.model_run,
            updated_at=row.updated_at,
        )


def label(answer: int | None, classes: Sequence[str]) -> str | None:
    """What a class code stands for."""
    return None if answer is None else classes[answer]


def shares(posterior: Sequence[float], classes: Sequence[str]) -> dict[str, float]:
    """A posterior by class; classes added since it was computed have nothing yet."""
    padded = [*posterior, *[0.0] * (len(classes) - len(posterior))]
    return dict(zip(classes, padded, strict=False))


def verdict_table(classes: Sequence[str]) -> Table[VerdictRow]:
    """The columns of verdicts in files: a posterior has one for each class."""

    def cells(row: VerdictRow) -> Sequence[object]:
        return (
            row.challenge,
            label(row.answer, classes),
            row.confidence,
            row.status,
            row.version,
            row.answers,
            row.skips,
            row.final,
            row.model_run,
            row.updated_at,
            *shares(row.posterior, classes).values(),
        )

    return Table(
        columns=(
            Column("challenge", "text"),
            Column("answer", "label"),
            Column("confidence", "number"),
            Column("status", "label"),
            Column("version", "count"),
            Column("answers", "count"),
            Column("skips", "count"),
            Column("final", "flag"),
            Column("model_run", "label"),
            Column("updated_at", "time"),
            *(Column(f"p:{name}", "number") for name in classes),
        ),
        cells=cells,
        document=lambda row: Verdict.of(row, classes),
    )
