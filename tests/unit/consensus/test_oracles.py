"""The engine against plain Python that shares nothing with it."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings

from consensus.answers import Answers
from consensus.ebcc import SEEDS, TRIAL, Problem
from consensus.form import Form
from consensus.registry import MODELS
from consensus.simulation import simulate
from tests.oracles.cbcc import cbcc
from tests.oracles.dawid_skene import dawid_skene
from tests.oracles.ebcc import ebcc
from tests.oracles.em import Table, Triple, vote_shares
from tests.oracles.glad import glad
from tests.oracles.ibcc import ibcc
from tests.oracles.kos import kos
from tests.oracles.mace import mace
from tests.oracles.one_coin import one_coin
from tests.oracles.wawa import wawa
from tests.oracles.zero_based_skill import zero_based_skill
from tests.unit.consensus.crowds import PROPERTY, crowds, small_crowd, triples_of

Oracle = Callable[[Sequence[Triple], int, int, int, Sequence[int], int], tuple[Table, list[float]]]

SLOW = settings(PROPERTY, max_examples=8)


def oracles(**functions: Oracle) -> pytest.MarkDecorator:
    cases = [(name.replace("_", "-"), oracle) for name, oracle in functions.items()]
    return pytest.mark.parametrize(("name", "oracle"), cases, ids=[name for name, _ in cases])


ORACLES = oracles(dawid_skene=dawid_skene, one_coin=one_coin, ibcc=ibcc, mace=mace)
SLOW_ORACLES = oracles(cbcc=cbcc, glad=glad)
RESIDUAL_ORACLES = oracles(zero_based_skill=zero_based_skill, kos=kos)


def agree(name: str, oracle: Oracle, answers: Answers) -> None:
    fit = MODELS[name].fit(answers)
    posterior, trace = oracle(triples_of(answers), answers.I, answers.J, answers.K, gold_of(answers), fit.iterations)
    torch.testing.assert_close(fit.posterior, torch.tensor(posterior, dtype=torch.float64), rtol=0, atol=1e-8)
    assert (fit.objective or fit.residuals) == pytest.approx(trace, rel=1e-9, abs=1e-9)


def gold_of(answers: Answers) -> list[int]:
    return [-1] * answers.I if answers.gold is None else answers.gold.tolist()


def tiny_crowd(classes: int) -> Answers:
    """40 items, 10 annotators, 160 answers."""
    return simulate(1, challenges=40, classes=classes, answers=160, respondents=10).answers


@ORACLES
@given(answers=crowds())
@PROPERTY
def test_em_on_any_crowd(name: str, oracle: Oracle, answers: Answers) -> None:
    agree(name, oracle, answers)


@ORACLES
def test_em_on_a_simulated_crowd(name: str, oracle: Oracle) -> None:
    agree(name, oracle, small_crowd(classes=3))


@SLOW_ORACLES
@given(answers=crowds())
@SLOW
def test_slower_ones_on_any_crowd(name: str, oracle: Oracle, answers: Answers) -> None:
    agree(name, oracle, answers)


@SLOW_ORACLES
def test_slower_ones_on_a_simulated_crowd(name: str, oracle: Oracle) -> None:
    agree(name, oracle, tiny_crowd(classes=3))


@RESIDUAL_ORACLES
@given(answers=crowds(classes=2))
@PROPERTY
def test_fixed_points_on_any_crowd(name: str, oracle: Oracle, answers: Answers) -> None:
    agree(name, oracle, answers)


@RESIDUAL_ORACLES
def test_fixed_points_on_a_simulated_crowd(name: str, oracle: Oracle) -> None:
    agree(name, oracle, small_crowd(classes=2))


@given(answers=crowds())
@SLOW
def test_subtypes_on_any_crowd(answers: Answers) -> None:
    subtypes_agree(answers)


def test_subtypes_on_a_simulated_crowd() -> None:
    subtypes_agree(tiny_crowd(classes=2))


def subtypes_agree(answers: Answers) -> None:
    """The seed that the fit names, followed to the end."""
    fit = MODELS["ebcc"].fit(answers)
    assert fit.seed is not None
    split = Problem.of(answers, Form.FULL).draw(range(fit.seed, fit.seed + 1))[:, 0].tolist()

    posterior, bounds = ebcc(
        triples_of(answers), answers.I, answers.J, answers.K, gold_of(answers), fit.iterations, split
    )

    torch.testing.assert_close(fit.posterior, torch.tensor(posterior, dtype=torch.float64), rtol=0, atol=1e-8)
    assert fit.objective == pytest.approx(bounds, rel=1e-9, abs=1e-9)


def test_the_seed_with_the_highest_bound_is_kept() -> None:
    answers = small_crowd(classes=2)
    fit = MODELS["ebcc"].fit(answers)
    problem = Problem.of(answers, Form.FULL)
    joint = problem.draw(range(SEEDS))
    for _ in range(TRIAL):
        joint, bound = problem.step(joint)

    assert fit.seed == int(bound.argmax())
    assert len(set(bound.tolist())) > 1


@given(answers=crowds())
@PROPERTY
def test_wawa_on_any_crowd(answers: Answers) -> None:
    expected = wawa(triples_of(answers), answers.I, answers.J, answers.K, gold_of(answers))

    posterior = MODELS["wawa"].fit(answers).posterior

    torch.testing.assert_close(posterior, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=2.0**-33)


@given(answers=crowds())
@PROPERTY
def test_majority_on_any_crowd(answers: Answers) -> None:
    expected = vote_shares(triples_of(answers), answers.I, answers.K, gold_of(answers))

    posterior = MODELS["majority"].fit(answers).posterior

    torch.testing.assert_close(posterior, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=2.0**-33)
