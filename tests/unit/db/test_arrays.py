"""PostgreSQL's binary arrays, byte by byte."""

import struct

import numpy as np
import pytest

from db import arrays


def test_the_bytes_of_an_array() -> None:
    head = struct.pack(">iiiii", 1, 0, 21, 2, 1)
    assert arrays.dump(np.array([1, -2], dtype=np.int16)) == head + b"\x00\x00\x00\x02\x00\x01\x00\x00\x00\x02\xff\xfe"


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.int16, np.float64, np.float32, np.bool_])
@pytest.mark.parametrize("values", [[], [0, 1, 1]])
def test_there_and_back(kind: type, values: list[int]) -> None:
    array: arrays.Array = np.array(values, dtype=kind)
    back = arrays.load(arrays.dump(array))
    assert back.dtype == kind
    assert back.tolist() == array.tolist()


def test_an_array_without_dimensions_is_empty() -> None:
    assert arrays.load(struct.pack(">iii", 0, 0, 20)).tolist() == []


def test_more_dimensions_are_one_behind_the_other() -> None:
    table = np.arange(6.0).reshape(2, 3)
    assert arrays.dump(table) == arrays.dump(np.arange(6.0))


def test_what_postgres_has_no_type_for() -> None:
    with pytest.raises(KeyError):
        arrays.dump(np.array([1], dtype=np.uint8))
