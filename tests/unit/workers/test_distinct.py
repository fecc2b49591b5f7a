"""Each id once, as numpy has it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workers.distinct import distinct

IDS = st.lists(st.integers(-(2**62), 2**62) | st.integers(0, 9))


@given(st.lists(IDS, min_size=1, max_size=3))
def test_every_id_is_there_once_and_in_order(some: list[list[int]]) -> None:
    parts = [np.array(ids, dtype=np.int64) for ids in some]
    found = distinct(*parts)
    np.testing.assert_array_equal(found, np.unique(np.concatenate(parts)))
    assert found.dtype == np.int64
