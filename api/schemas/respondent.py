"""Respondents on the wire."""

import math
from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, Field

from db.statistics import ReliabilityRow

Confusion = dict[str, dict[str, float] | None]


class Reliability(BaseModel):
    """What is believed of a respondent."""

    respondent: str
    answers: int = Field(description="Answers that count.")
    accuracy: float | None = Field(description="Probability that the next answer is right.")
    interval: tuple[float, float] | None = Field(description="95 % credible interval of the accuracy.")

    @classmethod
    def of(cls, row: ReliabilityRow) -> Self:
        return cls(
            respondent=row.respondent, answers=row.answers, accuracy=row.accuracy, interval=_interval(row.low, row.high)
        )


class Respondent(Reliability):
    """What is believed of a respondent, with what they answer when."""

    confusion: Confusion | None = Field(
        description="Expected rate of each answer by true class, as counted; null for a class that was never met, and"
        " null altogether where the project keeps one accuracy for all classes."
    )

    @classmethod
    def with_confusion(cls, row: ReliabilityRow, form: str, classes: Sequence[str]) -> Self:
        """A respondent of a project whose statistics have this form."""
        return cls(
            respondent=row.respondent,
            answers=row.answers,
            accuracy=row.accuracy,
            interval=_interval(row.low, row.high),
            confusion=confusion(row.counts, classes) if form == "full" else None,
        )


def confusion(counts: Sequence[float], classes: Sequence[str]) -> Confusion:
    """Rates from expected counts laid out [true class, answered class]; they may be older than the last classes."""
    width = math.isqrt(len(counts))
    table: Confusion = dict.fromkeys(classes)
    for code, true_class in enumerate(classes[:width]):
        row = counts[code * width : (code + 1) * width]
        total = math.fsum(row)
        if total > 0:
            rates = [count / total for count in row] + [0.0] * (len(classes) - width)
            table[true_class] = dict(zip(classes, rates, strict=True))
    return table


def _interval(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)
