from dataclasses import replace

import pytest
import torch

from consensus import dawid_skene
from consensus.errors import ConsensusError, MemoryLimitError
from consensus.form import Form
from consensus.memory import plan
from consensus.simulation import simulate

N, I, J, K = 10**8, 10**7, 10**6, 4
MODEL = replace(dawid_skene.MODEL, limit=10)


def test_without_a_limit_the_fastest_way_is_taken() -> None:
    way = plan(N, I, J, K, Form.FULL)

    assert (way.dtype, way.finer) == (torch.float64, 1)
    assert way.peak > 32 * N


def test_less_memory_means_finer_pieces_then_narrower_numbers_then_an_error() -> None:
    way = plan(N, I, J, K, Form.FULL)
    finer = plan(N, I, J, K, Form.FULL, max_memory=way.peak - 1)

    assert finer.peak < way.peak
    assert finer.dtype == torch.float64
    assert finer.finer > 1
    with pytest.raises(MemoryLimitError, match=r"^max_memory: 1000 bytes do not suffice; .* with is \d+$") as caught:
        plan(N, I, J, K, Form.FULL, max_memory=1000)
    assert isinstance(caught.value, ConsensusError)


def test_tables_that_are_too_wide_are_halved() -> None:
    wide = plan(10**6, 10**6, 10**6, 16, Form.FULL)

    way = plan(10**6, 10**6, 10**6, 16, Form.FULL, max_memory=wide.peak - 1)

    assert way.dtype == torch.float32


def test_a_dtype_that_is_asked_for_is_kept() -> None:
    assert plan(N, I, J, K, Form.FULL, dtype=torch.float32).dtype == torch.float32


def test_a_fit_within_a_limit_has_the_same_bits() -> None:
    answers = simulate(1, challenges=3000, answers=60_000).answers
    whole = plan(answers.N, answers.I, answers.J, answers.K, Form.FULL)

    fit = MODEL.fit(answers)
    small = MODEL.fit(answers, max_memory=whole.peak - 1)

    assert torch.equal(small.posterior, fit.posterior)
    assert small.objective == fit.objective
    assert fit.dtype == small.dtype == torch.float64


def test_a_fit_says_what_it_needs_at_least() -> None:
    with pytest.raises(MemoryLimitError):
        MODEL.fit(simulate(1, challenges=300, answers=1200).answers, max_memory=1000)


def test_single_precision_is_stated_and_near() -> None:
    answers = simulate(1, challenges=3000, answers=12_000).answers

    fit, single = MODEL.fit(answers), MODEL.fit(answers, dtype=torch.float32)

    assert single.dtype == torch.float32
    assert single.posterior.dtype == single.statistics.dtype == torch.float64
    torch.testing.assert_close(single.posterior, fit.posterior, rtol=0, atol=1e-4)
    torch.testing.assert_close(single.statistics.sum(), fit.statistics.sum())
