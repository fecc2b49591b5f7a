import pytest
import torch

from consensus import dawid_skene, one_coin
from consensus.answers import Answers
from consensus.form import Form
from consensus.model import Model
from consensus.replay import prefixes
from consensus.simulation import simulate
from consensus.statistics import count


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("model", [dawid_skene.MODEL, one_coin.MODEL])
def test_each_state_is_that_of_a_crowd_that_never_saw_the_challenge(model: Model, form: Form) -> None:
    crowd = simulate(4, 40, 3, 200, 15)
    a = crowd.answers
    gold = torch.where(torch.arange(40) % 4 == 0, crowd.truth, -1)
    known = Answers(a.item, a.annotator, a.label, a.I, a.J, a.K, gold)
    fit = model.fit(known, form=form)

    found = prefixes(model, known, fit.statistics, fit.prior, form=form)

    at = 0
    for item in range(0, 40, 4):
        mine = (a.item == item).nonzero().squeeze(1)
        without = fit.statistics - count(
            form, Answers(a.item[mine], a.annotator[mine], a.label[mine], a.I, a.J, a.K), fit.posterior
        )
        for size in range(1, len(mine) + 1):
            some = mine[:size]
            alone = Answers(torch.zeros_like(some), a.annotator[some], a.label[some], 1, a.J, a.K)
            expected = model.update(alone, without, fit.prior, form=form)
            assert torch.allclose(found.posterior[at], expected[0], atol=1e-8, rtol=0)
            assert int(found.answers[at]) == size
            assert int(found.likelihood[at].argmax()) == int(crowd.truth[item])
            at += 1
    assert at == len(found.posterior)
    assert float(found.weight.sum()) == pytest.approx(10)


def test_without_gold_there_is_nothing_to_replay() -> None:
    answers = simulate(4, 10, 2, 20, 10).answers
    prior = one_coin.MODEL.prior(2, Form.FULL)

    with pytest.raises(ValueError, match=r"^gold: "):
        prefixes(one_coin.MODEL, answers, torch.zeros(10, 4, dtype=torch.float64), prior, form=Form.FULL)
