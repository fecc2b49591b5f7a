from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from consensus.digits import LOGS, PROBABILITIES, WIDE, Table
from consensus.segment import Segments, block_sum, segment_sum
from tests.unit.consensus.crowds import PROPERTY

DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


@DTYPES
@given(data=st.data())
@PROPERTY
def test_equals_a_loop(data: st.DataObject, dtype: torch.dtype, device: torch.device) -> None:
    R, C = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 3))
    lengths = data.draw(st.lists(st.integers(0, 4), max_size=6))
    rows = data.draw(st.lists(st.integers(0, R - 1), min_size=sum(lengths), max_size=sum(lengths)))
    values = torch.arange(R * C, dtype=dtype, device=device).reshape(R, C) ** 2 + 0.25
    expected = torch.zeros(len(lengths), C, dtype=dtype, device=device)
    left = iter(rows)
    for segment, length in enumerate(lengths):
        for _ in range(length):
            expected[segment] += values[next(left)]
    offsets = torch.tensor([0, *lengths], device=device).cumsum(0)

    result = segment_sum(values, torch.tensor(rows, dtype=torch.int64, device=device), offsets)

    assert torch.equal(result, expected)


@DTYPES
def test_another_number_of_threads_gives_the_same_bits(dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(1)
    index = torch.randint(5000, (200_000,), generator=random)
    segments = Segments(index, torch.arange(0, 200_001, 20))
    values = torch.rand(5000, 7, dtype=dtype, generator=random)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append((segments.sum(values), block_sum(values.repeat(40, 1)), block_sum(values.reshape(-1, 1))))

    for result in results[1:]:
        assert all(torch.equal(*pair) for pair in zip(result, results[0], strict=True))


@pytest.mark.parametrize("R", [0, 1, 63, 64, 65, 1000])
def test_block_sum_is_a_sum(R: int, device: torch.device) -> None:
    values = torch.arange(R * 3, dtype=torch.float64, device=device).reshape(R, 3)

    assert torch.equal(block_sum(values), values.sum(0))


@given(data=st.data())
@PROPERTY
def test_digits_add_up_without_rounding(data: st.DataObject, device: torch.device) -> None:
    lengths = data.draw(st.lists(st.sampled_from([0, 1, 3, 255, 256, 257, 700]), min_size=1, max_size=4))
    random = torch.Generator().manual_seed(data.draw(st.integers(0, 9)))
    scale = data.draw(st.sampled_from([PROBABILITIES, LOGS]))
    values = torch.rand(50, WIDE, dtype=torch.float64, generator=random).to(device)
    values = 1 - values**9 if scale is PROBABILITIES else 64 * values**9 - 64 * values.flip(0) ** 9
    grid = (values / scale.step).round() * scale.step
    rows = torch.randint(50, (sum(lengths),), generator=random).to(device)
    offsets = torch.tensor([0, *lengths], device=device).cumsum(0)
    expected = torch.stack([grid[rows[start:end]].sum(0) for start, end in pairwise(offsets.tolist())])
    table = Table.of(values, scale)

    assert table.digits
    assert torch.equal(table.numbers(), grid)
    assert torch.equal(Segments(rows, offsets).sum(table), expected)
    assert torch.equal(table.used_up(), grid)
