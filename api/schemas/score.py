"""Scores of respondents within a batch, on the wire."""

from typing import Self

from pydantic import BaseModel, Field

from db.scores import ScoreRow


class Score(BaseModel):
    """Whether a respondent is competent, as believed when the batch was graded, given all that was seen of it.

    A key without the scope `gold` is told nothing but the number of answers until the respondent has as many as the
    project's `score_answers`, in all batches together.
    """

    respondent: str
    session: str | None = Field(description="What the client called the sitting.")
    answers: int = Field(description="Answers of the sitting that counted when they were graded.")
    score: float | None = Field(
        description="Expected probability that the respondent answers a challenge like these right; null while untold."
    )
    interval: tuple[float, float] | None = Field(description="95 % credible interval of that probability.")

    @classmethod
    def of(cls, row: ScoreRow, *, told_from: int) -> Self:
        """What a reader may know who is told the scores of those with so many answers."""
        told = row.total >= told_from
        return cls(
            respondent=row.respondent,
            session=row.session or None,
            answers=row.answers,
            score=row.score if told else None,
            interval=(row.low, row.high) if told else None,
        )
