"""Respondents on the wire."""

import math
from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, Field

from api.tables import Column, Table
from db.reliabilities import ReliabilityRow

Confusion = dict[str, dict[str, float] | None]


class Reliability(BaseModel):
    """What is believed of a respondent.

    A key without the scope `gold` is told nothing but the number of answers until there are as many as the project's
    `score_answers`: one answer's effect on a score would tell whether the challenge is gold, and what is right.
    """

    respondent: str
    answers: int = Field(description="Answers that count.")
    skips: int = Field(description='Answers that count and say "cannot tell"; they are not among `answers`.')
    accuracy: float | None = Field(description="Probability that the next answer is right; null while it is not told.")
    interval: tuple[float, float] | None = Field(description="95 % credible interval of the accuracy.")

    @classmethod
    def of(cls, row: ReliabilityRow, *, told_from: int) -> Self:
        """What a reader may know who is told the scores of those with so many answers."""
        told = row.answers >= told_from
        return cls(
            respondent=row.respondent,
            answers=row.answers,
            skips=row.skips,
            accuracy=row.accuracy if told else None,
            interval=_interval(row.low, row.high) if told else None,
        )


class Respondent(Reliability):
    """What is believed of a respondent, with what they answer when."""

    confusion: Confusion | None = Field(
        default=None,
        description="Expected rate of each answer by true class, as counted; null for a class that was never met, and"
        " null altogether where the project keeps one accuracy for all classes, or while it is not told.",
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


def respondent_table(told_from: int) -> Table[ReliabilityRow]:
    """The columns of respondents in files."""

    def cells(row: ReliabilityRow) -> Sequence[object]:
        told = row.answers >= told_from
        return (row.respondent, row.answers, row.skips, *((row.accuracy, row.low, row.high) if told else (None,) * 3))

    return Table(
        columns=(
            Column("respondent", "text"),
            Column("answers", "count"),
            Column("skips", "count"),
            Column("accuracy", "number"),
            Column("low", "number"),
            Column("high", "number"),
        ),
        cells=cells,
        document=lambda row: Reliability.of(row, told_from=told_from),
    )
