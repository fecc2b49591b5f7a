"""The change feed on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from api.cursors import encode
from api.schemas.verdict import label
from api.schemas.version import Cause
from db.current_verdicts import Status
from db.events import EventRow, Kind


class Previous(BaseModel):
    """What the version before said."""

    version: int
    answer: str | None
    confidence: float
    status: Status


class Event(BaseModel):
    """One visible change of a verdict."""

    cursor: str = Field(description="Give it as `after`, or as `Last-Event-ID`, to go on behind this event.")
    position: int = Field(description="1, 2, ... without a gap.")
    kind: Kind
    challenge: str
    version: int = Field(description="1, 2, ... by challenge, in the feed's order.")
    at: datetime
    answer: str | None
    confidence: float
    status: Status
    cause: Cause
    previous: Previous | None = Field(description="Null for a challenge's first version.")

    @classmethod
    def of(cls, row: EventRow, classes: Sequence[str]) -> Self:
        before = row.previous
        return cls.model_validate(
            {
                "cursor": encode(row.position),
                "position": row.position,
                "kind": row.kind,
                "challenge": row.challenge,
                "version": row.version,
                "at": row.at,
                "answer": label(row.answer, classes),
                "confidence": row.confidence,
                "status": row.status,
                "cause": row.cause,
                "previous": before
                and {
                    "version": before.version,
                    "answer": label(before.answer, classes),
                    "confidence": before.confidence,
                    "status": before.status,
                },
            }
        )


class Events(BaseModel):
    """A page of the feed."""

    items: list[Event]
    next: str = Field(
        description="Give it as `after` for what comes next; always given, also when nothing is there yet."
    )
