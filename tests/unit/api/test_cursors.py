"""Cursors are ours or refused."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.cursors import cut, decode, encode
from api.problems import ProblemError

_keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def written(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@settings(derandomize=True)
@given(st.integers(-(2**63) + 1, 2**63 - 1), _keys)
def test_a_cursor_leads_back(number: int, key: str) -> None:
    assert decode(encode(number), 0) == number
    assert decode(encode(key), "") == key


@settings(derandomize=True)
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_place_among_equals_leads_back(value: float, number: int) -> None:
    assert decode(encode((value, number)), (0.0, 0)) == (value, number)


@settings(derandomize=True)
@given(_keys, _keys)
def test_a_place_among_names_leads_back(key: str, session: str) -> None:
    assert decode(encode((key, session)), ("", "")) == (key, session)


@pytest.mark.parametrize("cursor", ['"x"', '["x"]', '["x",1]', '["x","y","z"]', '["x","\\u0000"]'])
def test_what_is_no_place_among_names_is_refused(cursor: str) -> None:
    with pytest.raises(ProblemError):
        decode(written(cursor), ("", ""))


@pytest.mark.parametrize("cursor", [written("1"), written("[1]"), written('["x",1]'), written(f"[1.0,{2**63}]")])
def test_what_is_no_place_among_equals_is_refused(cursor: str) -> None:
    with pytest.raises(ProblemError):
        decode(cursor, (0.0, 0))


def test_no_cursor_is_the_start() -> None:
    assert decode(None, -1) == -1


@pytest.mark.parametrize(
    "cursor", ["", "?", "a", "é", written("x"), written('"a"'), written(str(2**63)), written("1.5")]
)
def test_what_is_no_number_is_refused(cursor: str) -> None:
    with pytest.raises(ProblemError) as caught:
        decode(cursor, 0)
    assert caught.value.status_code == 422


@pytest.mark.parametrize("cursor", [written("1"), written('"\\u0000"'), written("null")])
def test_what_is_no_key_is_refused(cursor: str) -> None:
    with pytest.raises(ProblemError):
        decode(cursor, "")


def test_a_page_says_whether_there_is_more() -> None:
    assert cut([1, 2, 3], 3, int) == ([1, 2, 3], None)
    shown, cursor = cut([1, 2, 3], 2, int)
    assert (shown, decode(cursor, 0)) == ([1, 2], 2)
    assert cut([], 2, int) == ([], None)
    shown, cursor = cut([1], 2, int, end=7)
    assert (shown, decode(cursor, 0)) == ([1], 7)
    shown, cursor = cut([1, 2, 3], 2, int, end=7)
    assert (shown, decode(cursor, 0)) == ([1, 2], 2)
