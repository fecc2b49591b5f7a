"""What clients see, from what is stored."""

import pytest

from api.schemas.grade import outcome
from api.schemas.respondent import confusion
from api.schemas.verdict import shares


@pytest.mark.parametrize(
    ("grade", "expected"),
    [
        (0.7, "pass"),
        (1.0, "pass"),
        (0.69, "undecided"),
        (0.31, "undecided"),
        (0.3, "fail"),
        (0.0, "fail"),
        (None, None),
    ],
)
def test_outcomes_include_their_thresholds(grade: float | None, expected: str | None) -> None:
    assert outcome(grade, 0.3, 0.7) == expected


def test_a_posterior_older_than_a_class_gives_it_nothing() -> None:
    assert shares([0.5, 0.5], ["a", "b", "c"]) == {"a": 0.5, "b": 0.5, "c": 0.0}
    assert shares([], ["a"]) == {"a": 0.0}


def test_a_confusion_has_a_row_for_every_class() -> None:
    assert confusion([3.0, 1.0, 0.0, 0.0], ["a", "b", "c"]) == {
        "a": {"a": 0.75, "b": 0.25, "c": 0.0},
        "b": None,
        "c": None,
    }
    assert confusion([], ["a"]) == {"a": None}
