"""Which verdicts a request asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import AfterValidator

from api.problems import Fault, ProblemError
from db.current_verdicts import Status, VerdictFilter


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_aware)]
Share = Annotated[float | None, Query(ge=0, le=1)]
Answers = Annotated[int | None, Query(ge=0, le=2**31 - 1, description="Answers that count, skips left out.")]


@dataclass(frozen=True, slots=True)
class _Asked:
    status: Annotated[list[Status] | None, Query(description="Any of these.")] = None
    answer: Annotated[str | None, Query(description="A class.")] = None
    min_confidence: Share = None
    max_confidence: Share = None
    updated_after: Annotated[Moment | None, Query(description="UTC where it names no zone.")] = None
    updated_before: Annotated[Moment | None, Query(description="UTC where it names no zone.")] = None
    min_version: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None
    min_answers: Answers = None
    max_answers: Answers = None

    def among(self, classes: Sequence[str]) -> VerdictFilter:
        """The filter of a project with these classes.

        Raises:
            ProblemError: the answer is none of them.
        """
        if self.answer is not None and self.answer not in classes:
            raise ProblemError(
                422, "The request is not valid.", [Fault("/query/answer", "is not a class of the project")]
            )
        return VerdictFilter(
            status=self.status,
            answer=None if self.answer is None else classes.index(self.answer),
            min_confidence=self.min_confidence,
            max_confidence=self.max_confidence,
            updated_after=self.updated_after,
            updated_before=self.updated_before,
            min_version=self.min_version,
            min_answers=self.min_answers,
            max_answers=self.max_answers,
        )


Asked = Annotated[_Asked, Depends()]
