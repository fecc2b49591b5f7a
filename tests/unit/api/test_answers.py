"""Looking bodies over: the fast look and the thorough one must agree."""

import json
import tracemalloc
from contextlib import nullcontext
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.answers import check, glance
from api.doors import Door, listed
from api.problems import BRIEF, ProblemError
from db.bodies import JSON, MAX_KEY, NDJSON, decode

CLOSED = Door(1, frozenset({"a", "b"}), "a, b")
OPEN = Door(1, None, "")
NO_UNICODE = "is not valid Unicode: a lone surrogate, or bytes that are not UTF-8"
NO_MOMENT = "must be a time with a time zone, as 2026-01-31T12:00:00Z"
NO_DURATION = "must be a whole number of milliseconds from 0 to 2147483647"
GOOD = {"challenge": "c", "respondent": "r", "answer": "a"}


def body(*answers: Any) -> bytes:
    return json.dumps({"answers": answers}).encode()


def faults(raw: bytes, media_type: str = JSON, door: Door = CLOSED) -> list[tuple[str, str]]:
    checked = check(raw, media_type, door, limit=10)
    return [(fault.pointer, fault.detail) for _, fault in checked.faults]


def refused(raw: bytes, media_type: str = JSON) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        check(raw, media_type, CLOSED, limit=10)
    return caught.value


def test_a_good_body_is_kept_as_it_is() -> None:
    raw = body(GOOD, {**GOOD, "answered_at": "2026-01-31T12:00:00+01:00", "duration_ms": 5, "colour": "red"})
    checked = check(raw, JSON, CLOSED, limit=2)
    assert (checked.body, checked.answers, checked.rejected) == (raw, 2, ())


@pytest.mark.parametrize(
    ("name", "hint"), [("lane", ": it is a parameter of the URL"), ("colour", "")], ids=["lane", "colour"]
)
def test_what_is_no_field_of_the_body_is_named(name: str, hint: str) -> None:
    error = refused(json.dumps({"answers": [GOOD], name: "bulk"}).encode())
    assert [(fault.pointer, fault.detail) for fault in error.errors] == [
        (f"/{name}", f"is not a field of the body{hint}")
    ]


@pytest.mark.parametrize(
    ("change", "path", "detail"),
    [
        ({"answer": "x"}, "/answer", '"x" is not one of a, b'),
        ({"answer": 'é"'}, "/answer", '"é\\"" is not one of a, b'),
        ({"answer": 5}, "/answer", "must be a string"),
        ({"answer": None}, "/answer", "is missing"),
        ({"challenge": ""}, "/challenge", "is empty"),
        ({"challenge": "k" * (MAX_KEY + 1)}, "/challenge", "is longer than 256 characters"),
        ({"respondent": "a\0b"}, "/respondent", "contains the character NUL"),
        ({"respondent": "a\ud800"}, "/respondent", NO_UNICODE),
        ({"answered_at": "2026-01-31T12:00:00"}, "/answered_at", NO_MOMENT),
        ({"answered_at": 1}, "/answered_at", NO_MOMENT),
        ({"answered_at": "\ud800"}, "/answered_at", NO_MOMENT),
        ({"answered_at": "0001-01-01T00:00:00+14:00"}, "/answered_at", "is out of range"),
        ({"answered_at": "9999-12-31T23:59:59-14:00"}, "/answered_at", "is out of range"),
        ({"duration_ms": -1}, "/duration_ms", NO_DURATION),
        ({"duration_ms": 2**31}, "/duration_ms", NO_DURATION),
        ({"duration_ms": 1.5}, "/duration_ms", NO_DURATION),
        ({"duration_ms": True}, "/duration_ms", NO_DURATION),
        ({"skip": True}, "/skip", "is true, and there is an answer"),
        ({"skip": 1}, "/skip", "must be true or false"),
        ({"session": 7}, "/session", "must be a string"),
        ({"session": ""}, "/session", "is empty"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(change: dict[str, Any], path: str, detail: str) -> None:
    assert faults(body(GOOD, {**GOOD, **change}, GOOD)) == [(f"/answers/1{path}", detail)]
    lines = "\n".join(json.dumps(answer) for answer in (GOOD, {**GOOD, **change})).encode()
    assert faults(lines, NDJSON) == [(f"/1{path}", detail)]


def test_who_cannot_tell_gives_no_answer() -> None:
    skip = {"challenge": "c", "respondent": "r", "skip": True, "session": "s"}
    raw = body(GOOD, skip, {**skip, "answer": None}, {**GOOD, "skip": False})
    assert glance(raw, JSON, CLOSED, limit=9) == check(raw, JSON, CLOSED, limit=9)
    assert faults(raw) == []
    assert faults(body(GOOD, {**skip, "skip": False})) == [("/answers/1/answer", "is missing")]


def test_every_fault_of_every_answer_is_named() -> None:
    assert faults(body({}, 5, {**GOOD, "answer": "x", "duration_ms": -1})) == [
        ("/answers/0/challenge", "is missing"),
        ("/answers/0/respondent", "is missing"),
        ("/answers/0/answer", "is missing"),
        ("/answers/1", "must be an object"),
        ("/answers/2/answer", '"x" is not one of a, b'),
        ("/answers/2/duration_ms", NO_DURATION),
    ]


def test_faults_are_short_however_long_the_names() -> None:
    names = ["\U0001f600" * MAX_KEY + str(number) for number in range(20)]
    door = Door(1, frozenset(names), listed(names))
    raw = body(*[{**GOOD, "answer": "\U0001f601" * MAX_KEY}] * 200)
    faults = check(raw, JSON, door, limit=200).faults
    assert len(faults) == 200
    assert max(len(fault.detail) for _, fault in faults) <= 2 * BRIEF + 20


def test_reasons_are_gathered_by_answer() -> None:
    checked = check(body(GOOD, {"challenge": "", "respondent": 1, "answer": "a"}), JSON, CLOSED, limit=10)
    assert checked.rejected == ((1, "challenge: is empty; respondent: must be a string"),)


def test_bytes_that_are_not_utf8_are_named() -> None:
    raw = body(GOOD, {**GOOD, "challenge": "@"}).replace(b"@", b"\xff")
    assert [pointer for pointer, _ in faults(raw)] == ["/answers/1/challenge"]
    raw_nul = body(GOOD, {**GOOD, "challenge": "@"}).replace(b"@", b"\0")
    assert faults(raw_nul) == [("/answers/1/challenge", "contains the character NUL")]


def test_wrong_answers_give_way_to_placeholders() -> None:
    for media_type, raw in (
        (JSON, body(GOOD, {**GOOD, "answer": 5}, {**GOOD, "duration_ms": 7})),
        (NDJSON, b"\n".join(json.dumps(line).encode() for line in (GOOD, 5, {**GOOD, "duration_ms": 7}))),
    ):
        checked = check(raw, media_type, CLOSED, limit=10)
        stored = decode(checked.body, media_type)
        assert [answer.answer for answer in stored] == ["a", "-", "a"]
        assert stored[2].duration_ms == 7
        assert [position for position, _ in checked.rejected] == [1]


def test_blank_lines_are_no_answers() -> None:
    line = json.dumps(GOOD).encode()
    assert check(b"\n" + line + b"\r\n\n" + line + b"\n", NDJSON, CLOSED, limit=2).answers == 2
    assert faults(b"\n{\n\n" + line, NDJSON) == [("/0", "is not JSON")]


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (b"", ""),
        (b"[]", ""),
        (b"{}", "/answers"),
        (b'{"answers": {}}', "/answers"),
        (b'{"answers": []}', "/answers"),
        (body(GOOD) + b"x", ""),
        (b'{"answers": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
        (b'{"answers": [{"duration_ms": ' + b"9" * 5000 + b"}]}", ""),
        (body(GOOD).replace(b"}]", b', "x": NaN}]'), ""),
        (body(GOOD).replace(b"}]", b', "x": "\\ud800"}]'), ""),
        (body({**GOOD, "challenge": "@"}).replace(b"@", b"\n"), ""),
    ],
)
def test_what_is_no_body_of_answers_is_refused_as_a_whole(raw: bytes, pointer: str) -> None:
    problem = refused(raw)
    assert (problem.status_code, [fault.pointer for fault in problem.errors]) == (422, [pointer])
    assert problem.errors[0].detail


def test_no_lines_are_no_answers() -> None:
    assert refused(b" \n\n", NDJSON).status_code == 422


def test_too_many_answers_are_too_much_right_or_wrong() -> None:
    for answer in (GOOD, 5):
        assert refused(body(*[answer] * 11)).status_code == 413
        lines = b"\n".join([json.dumps(answer).encode()] * 11)
        assert refused(lines, NDJSON).status_code == 413


@pytest.mark.parametrize(
    ("media_type", "head", "element"),
    [(JSON, b'{"answers":[[]', b",[]"), (NDJSON, b"[]", b"\n[]"), (NDJSON, b"[]", b"\n")],
    ids=["JSON", "lines", "blank lines"],
)
def test_what_is_too_much_is_not_built(media_type: str, head: bytes, element: bytes) -> None:
    raw = head + element * 1_000_000 + (b"]}" if media_type == JSON else b"")
    tracemalloc.start()
    try:
        with pytest.raises(ProblemError) if element.strip() else nullcontext():
            check(raw, media_type, CLOSED, limit=10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(raw)


@pytest.mark.parametrize(
    ("raw", "pointer", "detail"),
    [
        (b'{"answers": [5], "lane": 1', "/lane", "is not a field of the body: it is a parameter of the URL"),
        (b'{"\\ud800": 1}', "/?", "is not a field of the body"),
        (b'{"answers": [5], "answers": 5}', "/answers", "must be an array"),
        (b'{"answers": [5], "answers": []}', "/answers", "is empty"),
        (b"{}", "/answers", "is missing"),
        (b"5", "", "must be an object with the field answers"),
    ],
)
def test_what_is_wrong_with_the_whole_is_named(raw: bytes, pointer: str, detail: str) -> None:
    assert [(fault.pointer, fault.detail) for fault in refused(raw).errors] == [(pointer, detail)]


@pytest.mark.parametrize("raw", [b'{"answers": [5,]}', b'{"answers": [5] 5}', b'{"answers": [5}', b"{5: []}", b"{: 5}"])
def test_what_is_no_json_is_refused_as_a_whole(raw: bytes) -> None:
    problem = refused(raw)
    assert (problem.status_code, [fault.pointer for fault in problem.errors]) == (422, [""])


def test_an_open_project_takes_any_answer() -> None:
    assert faults(body({**GOOD, "answer": "whatever"}), door=OPEN) == []


_texts = st.text(st.characters(exclude_categories=()), max_size=3) | st.sampled_from(["a", "b", "k" * 256, "k" * 257])
_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _texts
_answers = st.fixed_dictionaries(
    {},
    optional={
        "challenge": _texts | _values,
        "respondent": _texts,
        "answer": st.sampled_from(["a", "b", "x"]) | _values,
        "answered_at": st.none() | st.datetimes().map(str) | st.datetimes().map("{}Z".format) | _values,
        "duration_ms": st.none() | st.integers(-5, 2**32) | _values,
    },
)


@settings(derandomize=True, max_examples=300, deadline=None)
@example([GOOD])
@given(st.lists(_answers, min_size=1, max_size=3))
def test_what_is_stored_decodes_and_what_is_not_named_is_right(answers: list[dict[str, Any]]) -> None:
    checked = check(body(*answers), JSON, CLOSED, limit=10)
    assert (glance(body(*answers), JSON, CLOSED, limit=10) == checked) == (not checked.faults)
    bad = {position for position, _ in checked.faults}
    stored = decode(checked.body, JSON)
    assert len(stored) == len(answers) == checked.answers
    for position, answer in enumerate(answers):
        alone = body(answer)
        if position in bad:
            assert check(alone, JSON, CLOSED, limit=10).faults
        else:
            assert decode(alone, JSON) == [stored[position]]
            assert "\0" not in stored[position].challenge + stored[position].respondent


def test_the_reply_can_always_be_written() -> None:
    checked = check(body({**GOOD, "answer": "\ud800"}, {**GOOD, "answer": "😀"}), JSON, CLOSED, limit=10)
    assert msgspec.json.encode([fault for _, fault in checked.faults])
