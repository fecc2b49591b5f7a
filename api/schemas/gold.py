"""Gold on the wire; only keys with the scope `gold` see it."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.project import ClassKey
from db.gold import GoldRow
from db.projects import ProjectRow

State = Literal["active", "disputed", "retired"]
Flag = Literal["bad", "leaked"]
Note = Annotated[ClassKey | None, Field(description="Why; what is there stays when it is null.")]


class GoldAnswer(BaseModel):
    """The right answer to a challenge."""

    model_config = ConfigDict(extra="forbid")

    answer: ClassKey
    note: Note = None


class GoldItem(GoldAnswer):
    """A challenge and its right answer."""

    challenge: ClassKey


class GoldChange(BaseModel):
    """Dispute, retire or reinstate gold."""

    model_config = ConfigDict(extra="forbid")

    state: State
    note: Note = None


class GoldReply(BaseModel):
    """What became of gold that was put."""

    added: int
    changed: int
    unchanged: int


class Gold(BaseModel):
    """A challenge whose right answer is known."""

    challenge: str
    answer: str
    state: State = Field(description="Only active gold informs reliabilities.")
    applied: bool = Field(description="Whether reliabilities follow it as it stands.")
    consensus: str | None = Field(description="What its respondents say, gold left out of account.")
    confidence: float | None = Field(description="Of that consensus.")
    answers: int = Field(description="Answers that count.")
    flags: list[Flag] = Field(description="Odds that have reached the project's thresholds.")
    bad_odds: float | None = Field(description="Odds that the answer is wrong; null until they are known.")
    leaked_odds: float | None = Field(description="Odds that respondents know it from elsewhere; null likewise.")
    note: str | None
    added_at: datetime
    changed_at: datetime

    @classmethod
    def of(cls, row: GoldRow, project: ProjectRow) -> Self:
        fields = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        return cls.model_validate(
            fields
            | {
                "answer": project.classes[row.answer],
                "consensus": None if row.consensus is None else project.classes[row.consensus],
                "flags": flags(row, bad=project.rules.bad_gold_odds, leaked=project.rules.leaked_gold_odds),
            }
        )


def flags(row: GoldRow, *, bad: float, leaked: float) -> list[Flag]:
    """The flags of gold under a project's thresholds."""
    odds: tuple[tuple[Flag, float | None, float], ...] = (
        ("bad", row.bad_odds, bad),
        ("leaked", row.leaked_odds, leaked),
    )
    return [name for name, value, threshold in odds if value is not None and value >= threshold]
