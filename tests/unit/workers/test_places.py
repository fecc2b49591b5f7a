"""Places against a dictionary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.places import Places


@given(st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 2**63 - 1) | st.integers(0, 60), max_size=40))))
def test_they_are_what_a_dictionary_has(steps: list[tuple[bool, set[int]]]) -> None:
    places, known = Places(6), dict[int, int]()  # so little room that buckets run over
    number = 0
    for drop, some in steps:
        ids = np.array(list(some), dtype=np.int64)
        assert places.find(ids).tolist() == [known.get(id_, -1) for id_ in some]
        if drop:
            places.drop(ids)
            known = {id_: place for id_, place in known.items() if id_ not in some}
        else:
            new = [id_ for id_ in some if id_ not in known]
            given_ = dict(zip(new, range(number, number + len(new)), strict=True))
            places.put(np.array(new, dtype=np.int64), np.array(list(given_.values()), dtype=np.int64))
            known |= given_
            number += len(new)
        assert len(places) == len(known)
        assert sorted(places.all().tolist()) == sorted(known.values())
        assert places.find(ids).tolist() == [known.get(id_, -1) for id_ in some]


@pytest.mark.parametrize("step", [1, 2, 7, 1024, 2**20 + 1])
def test_few_buckets_run_over(step: int) -> None:
    """Ids come from sequences that several tables or projects may share."""
    ids = np.arange(1, 100_001) * step
    places = Places(len(ids))
    places.put(ids, np.arange(len(ids)))
    assert (places.find(ids) == np.arange(len(ids))).all()
    assert len(places._rest) < len(ids) // 100
