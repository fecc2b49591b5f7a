"""Accuracy of verdicts, ties split."""

import pytest

from cli.accuracy import accuracy


@pytest.mark.parametrize(
    ("posterior", "right", "expected"),
    [
        ({"a": 0.6, "b": 0.4}, "a", 1.0),
        ({"a": 0.6, "b": 0.4}, "b", 0.0),
        ({"a": 0.5, "b": 0.5}, "b", 0.5),
        ({"a": 0.4, "b": 0.4, "c": 0.2}, "c", 0.0),
        ({"a": 1 / 3, "b": 1 / 3 + 1e-12, "c": 1 / 3 - 1e-12}, "c", 1 / 3),
        ({"a": 0.6, "b": 0.4}, "never seen", 0.0),
    ],
)
def test_one_challenge(posterior: dict[str, float], right: str, expected: float) -> None:
    found = accuracy([{"challenge": "c", "posterior": posterior}], {"c": right})
    assert found.value == pytest.approx(expected)
    assert found.scored == 1


def test_only_challenges_on_both_sides_count() -> None:
    verdicts = [{"challenge": name, "posterior": {"a": 0.9, "b": 0.1}} for name in ("c1", "c2", "c3")]
    found = accuracy(verdicts, {"c1": "a", "c2": "b", "c9": "a"})
    assert (found.value, found.scored) == (0.5, 2)


def test_nothing_to_score() -> None:
    found = accuracy([], {"c": "a"})
    assert (found.value, found.scored) == (None, 0)
