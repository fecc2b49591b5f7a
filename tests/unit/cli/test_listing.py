"""What rows look like."""

import json
from datetime import UTC, datetime

import pytest

from cli.listing import aligned, cell, show_fields, show_rows

ROWS = [{"name": "one", "n": 1, "more": "x"}, {"name": "twenty", "n": 20000, "more": None}]


def test_columns_stand_under_each_other() -> None:
    assert aligned(ROWS, ["name", "n"]).splitlines() == ["name    n", "one     1", "twenty  20,000"]


def test_no_rows_still_have_a_header() -> None:
    assert aligned([], ["name", "n"]) == "name  n"


def test_json_keeps_what_the_table_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(ROWS, ["name"], json=True)
    assert json.loads(capsys.readouterr().out) == ROWS


def test_fields(capsys: pytest.CaptureFixture[str]) -> None:
    show_fields({"id": 7, "state": "done"}, json=False)
    assert capsys.readouterr().out == "id     7\nstate  done\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (1234567, "1,234,567"),
        (0.25, "0.25"),
        (2 / 3, "0.666667"),
        (["a", "b"], "a, b"),
        ({"graded": 3, "dead": 0}, "graded 3, dead 0"),
        (datetime(2026, 1, 5, 10, 0, tzinfo=UTC), "2026-01-05 10:00:00+0000"),
        ("\x1b[31mred\nline", "\ufffd[31mred\ufffdline"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert cell(value) == text
