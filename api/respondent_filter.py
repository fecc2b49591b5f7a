"""Which respondents a request asks for, and in which order."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

from api.cursors import Ranked
from db.reliabilities import Order, ReliabilityFilter, ReliabilityRow

Count = Annotated[int | None, Query(ge=0, le=2**31 - 1, description="Answers that count.")]
Accuracy = Annotated[
    float | None, Query(ge=0, le=1, description="Leaves out those whose accuracy the caller is not told.")
]


@dataclass(frozen=True, slots=True)
class _Asked:
    min_answers: Count = None
    max_answers: Count = None
    min_accuracy: Accuracy = None
    max_accuracy: Accuracy = None
    order: Annotated[
        Order,
        Query(
            description="After a minus, the largest first. By accuracy, those whose accuracy the caller is not told are"
            " left out."
        ),
    ] = "key"

    def told(self, told_from: int) -> ReliabilityFilter:
        """The filter of a caller who is told the accuracy of those with so many answers."""
        return ReliabilityFilter(self.min_answers, self.max_answers, self.min_accuracy, self.max_accuracy, told_from)

    def place(self, row: ReliabilityRow) -> Ranked:
        """Where a row stands in an order that is not by key."""
        value = row.accuracy if self.order in {"accuracy", "-accuracy"} else row.answers
        return value or 0.0, row.id


Asked = Annotated[_Asked, Depends()]
