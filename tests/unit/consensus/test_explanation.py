"""Explanations add up, and the sets they name are the smallest that flip the verdict."""

import pytest
import torch
from torch import Tensor

from consensus.account import Scale
from consensus.answers import Answers
from consensus.explanation import Explanation, explain
from consensus.fit import Fit, leading
from consensus.model import Model
from consensus.prior import Prior
from consensus.registry import MODELS
from consensus.simulation import simulate
from consensus.statistics import Form
from tests.unit.consensus.crowds import answers_of

pytestmark = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())

ITEMS = 6


def fitted(model: Model, K: int, form: Form) -> tuple[Answers, Fit]:
    K = min(K, 2) if model.name == "kos" else K
    answers = simulate(K, challenges=60, classes=K, answers=400, respondents=15).answers
    return answers, model.fit(answers, form=form)


def challenge(answers: Answers, i: int) -> Answers:
    mine = answers.item == i
    return Answers(answers.item[mine] * 0, answers.annotator[mine], answers.label[mine], 1, answers.J, answers.K)


def verdicts(model: Model, answers: Answers, dropped: Tensor, fit: Fit, form: Form) -> Tensor:
    """(M,) the verdict without the answers of each row of `dropped` (M, N)."""
    item, left = (~dropped).nonzero().unbind(1)
    some = Answers(item, answers.annotator[left], answers.label[left], len(dropped), answers.J, answers.K)
    return leading(model.publish(some, fit.statistics, fit.prior, form=form)).to(torch.int8).argmax(1)


def subsets(units: int) -> Tensor:
    """(2^units, units) bool."""
    return (torch.arange(2**units)[:, None] >> torch.arange(units)) % 2 == 1


def added_up(found: Explanation) -> float:
    return found.prior + float(found.answers.sum()) + sum(step.value for step in found.steps)


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("K", [2, 3, 5])
def test_terms_add_up_to_the_published_odds(model: Model, K: int, form: Form) -> None:
    answers, fit = fitted(model, K, form)
    for i in range(ITEMS):
        mine = challenge(answers, i)
        published = model.publish(mine, fit.statistics, fit.prior, form=form)[0]

        found = explain(model, mine, fit.statistics, fit.prior, form=form)

        assert found is not None
        w, r = found.winner, found.rival
        share, odds = published[w] - published[r], published[w].log() - published[r].clamp(min=2.0**-33).log()
        assert found.total == pytest.approx(float(share if found.scale == Scale.SHARE else odds), abs=1e-12)
        assert added_up(found) == pytest.approx(found.total, abs=1e-9)
        if float(published[r]) > 1e-4:
            assert sum(abs(step.value) for step in found.steps if step.name == "rounding") < 1e-5


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("K", [2, 4])
def test_the_verdict_flips_without_the_named_set_and_without_no_smaller_one(model: Model, K: int, form: Form) -> None:
    answers, fit = fitted(model, K, form)
    named = 0
    for i in range(ITEMS):
        mine = challenge(answers, i)
        found = explain(model, mine, fit.statistics, fit.prior, form=form)
        assert found is not None
        _, owner = mine.annotator.unique(return_inverse=True)
        owners = None
        if found.fewest_annotators is not None:
            owners = torch.isin(mine.annotator, found.fewest_annotators).nonzero().squeeze(1)
        for unit, chosen in ((torch.arange(mine.N), found.fewest_answers), (owner, owners)):
            every = subsets(int(unit.max()) + 1)
            size = every.shape[1] + 1 if chosen is None else len(unit[chosen].unique())
            smaller = every[every.sum(1) < size]
            if found.exact:
                assert bool((verdicts(model, mine, smaller[:, unit], fit, form) == found.winner).all())
            if chosen is not None:
                dropped = torch.zeros(1, mine.N, dtype=torch.bool)
                dropped[:, chosen] = True
                assert int(verdicts(model, mine, dropped, fit, form)) != found.winner
                named += 1
    assert named


def test_a_verdict_published_earlier_is_explained_as_it_was(model: Model) -> None:
    answers, fit = fitted(model, 2, Form.FULL)
    mine = challenge(answers, 0)
    earlier = torch.tensor([0.3, 0.7], dtype=torch.float64)

    found = explain(model, mine, fit.statistics, fit.prior, form=Form.FULL, published=earlier)

    assert found is not None
    assert (found.winner, found.rival) == (1, 0)
    assert added_up(found) == pytest.approx(found.total, abs=1e-9)
    assert "since" in {step.name for step in found.steps}


def test_without_answers_or_rivals_there_is_little_to_say(model: Model) -> None:
    prior: Prior = model.prior(2, Form.FULL)
    nobody = torch.zeros(0, 4, dtype=torch.float64)

    found = explain(model, answers_of([], 1, 0, 2), nobody, prior, form=Form.FULL)

    assert found is not None
    assert found.total == pytest.approx(0, abs=1e-9)
    assert found.fewest_answers is None
    single = model.prior(1, Form.FULL)
    assert explain(model, answers_of([], 1, 0, 1), nobody[:, :1], single, form=Form.FULL) is None
    with pytest.raises(ValueError, match=r"^I: "):
        explain(model, answers_of([], 2, 0, 2), nobody, prior, form=Form.FULL)
