"""What a change of a verdict is called."""

from datetime import UTC, datetime

import pytest

from db.events import Before, EventRow

Said = tuple[int | None, str]
"""Answer and status."""


def event(before: Said | None, now: Said) -> EventRow:
    previous = None if before is None else Before(1, before[0], 0.5, before[1])
    version = 1 if before is None else 2
    return EventRow(7, "c", version, datetime.now(UTC), now[0], 0.75, now[1], "answers", previous)


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        (None, (0, "open"), "created"),
        (None, (0, "settled"), "created"),
        ((0, "open"), (0, "open"), "updated"),
        ((0, "open"), (1, "open"), "corrected"),
        ((0, "settled"), (1, "settled"), "corrected"),
        ((0, "open"), (1, "settled"), "corrected"),
        ((0, "open"), (0, "settled"), "settled"),
        ((0, "open"), (0, "ambiguous"), "ambiguous"),
        ((0, "open"), (None, "unanswerable"), "unanswerable"),
        ((None, "unanswerable"), (0, "open"), "reopened"),
        ((0, "settled"), (0, "open"), "reopened"),
        ((None, "open"), (0, "open"), "updated"),
    ],
)
def test_kinds(before: Said | None, now: Said, kind: str) -> None:
    assert event(before, now).kind == f"verdict.{kind}"
