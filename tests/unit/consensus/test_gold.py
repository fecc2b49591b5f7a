"""Gold that is wrong, leaked or known to some is flagged; gold that is none of these hardly ever."""

from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor

from consensus.answers import Answers
from consensus.form import Form
from consensus.gold import Flags, Gold, flag, together
from consensus.registry import MODELS
from consensus.simulation import simulate
from tests.unit.consensus.crowds import answers_of

MODEL = MODELS["touchstone"]
SHARE = 0.3


def chosen(truth: Tensor, seed: int) -> Tensor:
    """(I,) the truth of some items, -1 for the others."""
    return torch.where(torch.rand(len(truth), generator=Generator().manual_seed(seed)) < SHARE, truth, -1)


def judged(answers: Answers, gold: Tensor, form: Form = Form.FULL) -> Flags:
    fit = MODEL.fit(replace(answers, gold=gold), form=form)
    here = (gold >= 0)[answers.item]
    mine = Answers(
        answers.item[here], answers.annotator[here], answers.label[here], answers.I, answers.J, answers.K, gold
    )
    return flag(Gold(MODEL, mine, fit.statistics, fit.prior, form))


@pytest.mark.parametrize("form", Form)
def test_wrong_labels_are_flagged(form: Form) -> None:
    crowd = simulate(0)
    truth = chosen(crowd.truth, 0)
    wrong = (truth >= 0) & (torch.rand(len(truth), generator=Generator().manual_seed(1)) < 0.05)

    found = judged(crowd.answers, torch.where(wrong, (truth + 1) % 4, truth), form).mislabelled > 0

    assert float(found[wrong].double().mean()) > 0.65
    assert float(wrong[found].double().mean()) > 0.9


def test_leaked_items_are_flagged() -> None:
    """Twelve of 150 gold items, 10 answers to each, nearly all right where 55 % are elsewhere."""
    crowd = simulate(1, challenges=500, classes=4, answers=20_000, respondents=120)
    gold = chosen(crowd.truth, 1)
    leaked = torch.zeros(len(gold), dtype=torch.bool)
    leaked[(gold >= 0).nonzero().squeeze(1)[:12]] = True
    known = leaked[crowd.answers.item]
    label = torch.where(known, crowd.truth[crowd.answers.item], crowd.answers.label)

    found = judged(replace(crowd.answers, label=label), gold).leaked > 0

    assert float(found[leaked].double().mean()) >= 0.75
    assert int(found[~leaked].sum()) <= 2


def test_who_holds_the_key_is_flagged_and_as_a_group_sooner() -> None:
    crowd = simulate(2, answers=10_000)
    answers, gold = crowd.answers, chosen(crowd.truth, 2)
    holders = crowd.skill.argsort()[:12]
    knows = torch.isin(answers.annotator, holders) & (gold >= 0)[answers.item]
    label = torch.where(knows, crowd.truth[answers.item], answers.label)
    groups = torch.full((answers.J,), -1)
    groups[holders] = 1

    alone = judged(replace(answers, label=label), gold).holders
    nobody, ring = together(alone, groups, 2)

    assert float((alone[holders] > 0).double().mean()) > 0.75
    assert float(ring) > float(alone[holders].max())
    assert float(nobody.exp()) == pytest.approx(0.01 / 0.99)
    others = torch.ones(answers.J, dtype=torch.bool)
    others[holders] = False
    assert int((alone[others] > 0).sum()) <= 2


def test_clean_gold_is_left_alone() -> None:
    """Three crowds, all seeds fixed; `benchmarks.gold` prints the rates over more."""
    labels = items = holders = gold_items = annotators = 0
    for seed in range(3):
        crowd = simulate(seed)
        gold = chosen(crowd.truth, seed)
        found = judged(crowd.answers, gold)
        labels += int((found.mislabelled > 0).sum())
        items += int((found.leaked > 0).sum())
        holders += int((found.holders > 0).sum())
        gold_items += int((gold >= 0).sum())
        annotators += crowd.answers.J

    assert labels <= 0.005 * gold_items
    assert items <= 0.01 * gold_items
    assert holders <= 0.02 * annotators


def test_gold_without_answers_keeps_the_prior_odds() -> None:
    prior = MODEL.prior(3, Form.FULL)
    nobody = torch.zeros(2, 9, dtype=torch.float64)

    found = flag(Gold(MODEL, answers_of([], 2, 2, 3, gold=[0, 2]), nobody, prior, Form.FULL))

    assert found.mislabelled.unique().numel() == 1
    assert float(found.mislabelled[0]) == pytest.approx(-3.892, abs=1e-3)
    assert float(found.leaked[0]) == pytest.approx(-4.595, abs=1e-3)
    assert float(found.holders[0]) == pytest.approx(-4.595, abs=0.1)


def test_answers_to_other_items_are_refused() -> None:
    prior = MODEL.prior(2, Form.FULL)
    statistics = torch.zeros(1, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"^answers: "):
        flag(Gold(MODEL, answers_of([(0, 0, 0)], 1, 1, 2, gold=[-1]), statistics, prior, Form.FULL))
