"""Lists of records as they go into and come out of a statement."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from db.pieces import Pieces

KIND = np.dtype([("number", "<i8"), ("flag", "|b1")])


def pieces(lists: list[list[int]]) -> Pieces:
    records = np.zeros(sum(map(len, lists)), KIND)
    records["number"] = [number for some in lists for number in some]
    return Pieces(records, np.array([len(some) for some in lists], dtype=np.int64))


@given(st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=4), st.booleans())))
def test_some_are_those_that_are_wanted(lists: list[tuple[list[int], bool]]) -> None:
    some = pieces([numbers for numbers, _ in lists])[np.array([wanted for _, wanted in lists], dtype=bool)]
    expected = [numbers for numbers, wanted in lists if wanted]
    assert some.sizes.tolist() == [len(numbers) for numbers in expected]
    assert some.records["number"].tolist() == [number for numbers in expected for number in numbers]


@given(st.lists(st.lists(st.integers(0, 9), max_size=4)))
def test_a_statement_cuts_each_from_all(lists: list[list[int]]) -> None:
    found = pieces(lists).parameters
    octets, sizes = found["packed"], found["sizes"].astype(np.int64)
    assert len(pieces(lists)) == len(lists)
    for start, size, numbers in zip(found["starts"].tolist(), sizes.tolist(), lists, strict=True):
        cut = np.frombuffer(octets[start - 1 : start - 1 + size], KIND)
        assert cut["number"].tolist() == numbers
    again = Pieces.of(KIND, octets, sizes)
    assert again.sizes.tolist() == [len(numbers) for numbers in lists]
    assert again.records["number"].tolist() == [number for numbers in lists for number in numbers]
