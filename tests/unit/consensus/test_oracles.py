"""The engine against plain Python that shares nothing with it."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given

from consensus.answers import Answers
from consensus.registry import MODELS
from tests.oracles.dawid_skene import dawid_skene
from tests.oracles.em import Table, Triple, vote_shares
from tests.oracles.one_coin import one_coin
from tests.unit.consensus.crowds import PROPERTY, crowds, small_crowd, triples_of

Oracle = Callable[[Sequence[Triple], int, int, int, Sequence[int], int], tuple[Table, list[float]]]

ORACLES = pytest.mark.parametrize(
    ("name", "oracle"), [("dawid-skene", dawid_skene), ("one-coin", one_coin)], ids=["dawid-skene", "one-coin"]
)


def agree(name: str, oracle: Oracle, answers: Answers) -> None:
    fit = MODELS[name].fit(answers)
    gold = [-1] * answers.I if answers.gold is None else answers.gold.tolist()
    posterior, objectives = oracle(triples_of(answers), answers.I, answers.J, answers.K, gold, fit.iterations)
    torch.testing.assert_close(fit.posterior, torch.tensor(posterior, dtype=torch.float64), rtol=0, atol=1e-8)
    assert fit.objective == pytest.approx(objectives, rel=1e-9, abs=1e-9)


@ORACLES
@given(answers=crowds())
@PROPERTY
def test_em_on_any_crowd(name: str, oracle: Oracle, answers: Answers) -> None:
    agree(name, oracle, answers)


@ORACLES
def test_em_on_a_simulated_crowd(name: str, oracle: Oracle) -> None:
    agree(name, oracle, small_crowd(classes=3))


@given(answers=crowds())
@PROPERTY
def test_majority_on_any_crowd(answers: Answers) -> None:
    gold = [-1] * answers.I if answers.gold is None else answers.gold.tolist()
    expected = vote_shares(triples_of(answers), answers.I, answers.K, gold)

    posterior = MODELS["majority"].fit(answers).posterior

    torch.testing.assert_close(posterior, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=2.0**-33)
