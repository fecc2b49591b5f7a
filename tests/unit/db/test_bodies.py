"""The body of a batch: one codec for the edge and for the fleet."""

import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import msgspec
import pytest

from db import bodies
from db.bodies import JSON, MAX_KEY, NDJSON, AnswerBody

LINE = b'{"challenge":"c","respondent":"r","answer":"a"}'


def test_both_forms_say_the_same() -> None:
    second = (
        b'{"challenge":"d","respondent":"r","answer":"b","answered_at":"2026-01-02T03:04:05+02:00","duration_ms":7}'
    )
    expected = [
        AnswerBody("c", "r", "a"),
        AnswerBody("d", "r", "b", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC), 7),
    ]
    assert bodies.decode(b'{"answers":[' + LINE + b"," + second + b"]}", JSON) == expected
    assert bodies.decode(LINE + b"\n" + second + b"\n", NDJSON) == expected


def test_what_is_unknown_is_ignored() -> None:
    assert bodies.decode(LINE[:-1] + b',"colour":1}', NDJSON) == [AnswerBody("c", "r", "a")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"answers":[]}',
        b'{"answers":[{}]}',
        b'{"answers":[' + LINE.replace(b'"c"', b'""') + b"]}",
        b'{"answers":[' + LINE.replace(b'"c"', b"1") + b"]}",
        b'{"answers":[' + LINE.replace(b'"c"', b'"' + b"x" * (MAX_KEY + 1) + b'"') + b"]}",
        b'{"answers":[' + LINE[:-1] + b',"answered_at":"2026-01-02T03:04:05"}]}',
        b'{"answers":[' + LINE[:-1] + b',"duration_ms":-1}]}',
        b'{"answers":[' + LINE[:-1] + b',"duration_ms":2147483648}]}',
        b'{"answers":[' + LINE.replace(b'"c"', b'"\\ud800"') + b"]}",
    ],
)
def test_what_is_wrong_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        bodies.decode(body, JSON)


def test_the_longest_key_there_may_be() -> None:
    key = "é" * MAX_KEY
    (answer,) = bodies.decode(LINE.replace(b'"c"', f'"{key}"'.encode()), NDJSON)
    assert answer.challenge == key


@pytest.mark.parametrize("answers", [1, 100])
def test_what_is_packed_is_unpacked(answers: int) -> None:
    body = b'{"answers":[' + b",".join([LINE] * answers) + b"]}"
    packed = bodies.pack(body)
    assert len(packed) < len(body) or answers == 1
    assert bodies.unpack(packed) == body
    assert bodies.unpack(body) == body, "as the first releases stored it"
    assert bodies.unpack(zlib.compress(body, 1)) == body, "as later ones did"


def test_threads_pack_and_unpack_beside_one_another() -> None:
    together = threading.Barrier(8)

    def go(number: int) -> bool:
        written = [b'{"answers":[%d]}' % (number * 1000 + n) * 200 for n in range(200)]
        together.wait()
        return [bodies.unpack(bodies.pack(body)) for body in written] == written

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(go, range(8)))


PACKED = bodies.pack(LINE * 100)


@pytest.mark.parametrize(
    "spoiled",
    [
        PACKED[:-1],
        PACKED[:-1] + bytes([PACKED[-1] ^ 1]),
        PACKED[:20] + bytes([PACKED[20] ^ 1]) + PACKED[21:],
        zlib.compress(LINE * 100)[:-1],
        b"\x28\xb5\x2f\xfd\xe0" + b"\x7f" * 8 + PACKED[7:],
    ],
    ids=["cut short", "another checksum", "another byte", "cut short, deflated", "more bytes than there is memory"],
)
def test_spoiled_bytes_are_left_to_who_decodes_them(spoiled: bytes) -> None:
    assert bodies.unpack(spoiled) == spoiled
    with pytest.raises(msgspec.MsgspecError):
        bodies.decode(spoiled, JSON)
