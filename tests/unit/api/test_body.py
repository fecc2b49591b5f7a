"""Media types, encodings, and inflating no more than is allowed."""

import gzip

import pytest
from starlette.exceptions import HTTPException

from api.body import compressed, inflate, media_type


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("application/json", "application/json"),
        ("Application/JSON; charset=UTF-8", "application/json"),
        ('application/x-ndjson;charset="utf-8"', "application/x-ndjson"),
        ("application/json; profile=x", "application/json"),
    ],
)
def test_bodies_of_answers(header: str, kind: str) -> None:
    assert media_type(header) == kind


@pytest.mark.parametrize("header", [None, "", "text/csv", "application/json; charset=latin-1"])
def test_bodies_of_something_else(header: str | None) -> None:
    with pytest.raises(HTTPException) as caught:
        media_type(header)
    assert caught.value.status_code == 415


def test_encodings() -> None:
    assert [compressed(header) for header in (None, "identity", "gzip", " GZIP ")] == [False, False, True, True]
    with pytest.raises(HTTPException):
        compressed("gzip, br")


def test_inflating_stops_at_the_limit() -> None:
    packed = gzip.compress(b"x" * 1000)
    assert inflate(packed, 1000) == b"x" * 1000
    with pytest.raises(HTTPException) as caught:
        inflate(packed, 999)
    assert caught.value.status_code == 413
    with pytest.raises(HTTPException) as caught:
        inflate(packed + packed, 1999)
    assert caught.value.status_code == 413


def test_members_are_joined() -> None:
    assert inflate(gzip.compress(b"ab") + gzip.compress(b"") + gzip.compress(b"c"), 3) == b"abc"


@pytest.mark.parametrize("cut", [1, 8, 9, 15])
def test_what_is_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(HTTPException) as caught:
        inflate(gzip.compress(b"hello hello hello")[:-cut], 1000)
    assert caught.value.status_code == 422


@pytest.mark.parametrize(
    "raw",
    [b"garbage", gzip.compress(b"a") + b"garbage", gzip.compress(b"hello")[:-8] + b"\0" * 8],
    ids=["no gzip", "garbage behind", "wrong checksum"],
)
def test_garbage_is_refused(raw: bytes) -> None:
    with pytest.raises(HTTPException) as caught:
        inflate(raw, 1000)
    assert caught.value.status_code == 422


def test_members_are_counted() -> None:
    member = gzip.compress(b"")
    assert inflate(member * 256, 1000) == b""
    with pytest.raises(HTTPException) as caught:
        inflate(member * 257, 1000)
    assert caught.value.status_code == 422
