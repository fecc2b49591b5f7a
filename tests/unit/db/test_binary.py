"""COPY BINARY, byte by byte, against the example that the format's description makes."""

import numpy as np
import pytest

from db import binary

SIGNATURE = b"PGCOPY\n\xff\r\n\x00" + b"\x00\x00\x00\x00" + b"\x00\x00\x00\x00"


def test_two_rows_of_every_type() -> None:
    data = binary.dump(
        [
            (binary.BIGINT, np.array([1, -1])),
            (binary.INTEGER, np.array([2, 256])),
            (binary.SMALLINT, np.array([3, -2])),
            (binary.REAL, np.array([1.0, 0.5])),
            (binary.BOOLEAN, np.array([True, False])),
        ]
    )
    first = (
        b"\x00\x05"
        b"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x01"
        b"\x00\x00\x00\x04\x00\x00\x00\x02"
        b"\x00\x00\x00\x02\x00\x03"
        b"\x00\x00\x00\x04\x3f\x80\x00\x00"
        b"\x00\x00\x00\x01\x01"
    )
    second = (
        b"\x00\x05"
        b"\x00\x00\x00\x08\xff\xff\xff\xff\xff\xff\xff\xff"
        b"\x00\x00\x00\x04\x00\x00\x01\x00"
        b"\x00\x00\x00\x02\xff\xfe"
        b"\x00\x00\x00\x04\x3f\x00\x00\x00"
        b"\x00\x00\x00\x01\x00"
    )
    assert data == SIGNATURE + first + second + b"\xff\xff"


def test_a_null_has_a_length_and_no_bytes() -> None:
    data = binary.dump(
        [(binary.SMALLINT, np.array([1, 2]))],
        [
            (binary.SMALLINT, np.array([5, 6]), np.array([False, True])),
            (binary.INTEGER, np.array([7, -1]), np.array([True, False])),
        ],
    )
    assert data == (
        SIGNATURE
        + b"\x00\x03\x00\x00\x00\x02\x00\x01\xff\xff\xff\xff\x00\x00\x00\x04\x00\x00\x00\x07"
        + b"\x00\x03\x00\x00\x00\x02\x00\x02\x00\x00\x00\x02\x00\x06\xff\xff\xff\xff"
        + b"\xff\xff"
    )


@pytest.mark.parametrize("optional", [[], [(binary.INTEGER, np.array([], dtype=int), np.array([], dtype=bool))]])
def test_no_rows(optional: list[tuple[str, binary.Column, binary.Present]]) -> None:
    assert binary.dump([(binary.BIGINT, np.array([], dtype=int))], optional) == SIGNATURE + b"\xff\xff"
