import torch

from consensus import foresight, touchstone
from consensus.answers import Answers
from consensus.foresight import prefixes
from consensus.form import Form
from consensus.simulation import simulate


def test_states_do_not_depend_on_the_order_of_the_answers() -> None:
    a = simulate(3, 60, 3, 400, 20).answers
    shuffled = foresight.only(a, torch.randperm(a.N, generator=torch.Generator().manual_seed(1)))

    one, other = (prefixes(touchstone.MODEL, answers, form=Form.FULL) for answers in (a, shuffled))

    assert torch.equal(one.posterior, other.posterior)
    assert torch.equal(one.answers, other.answers)
    assert torch.equal(one.likelihood, other.likelihood)


def test_what_was_left_out_points_to_the_truth_and_gold_is_left_out() -> None:
    crowd = simulate(5, 100, 3, 2000, 50, {})
    a = crowd.answers
    gold = torch.where(torch.arange(a.I) % 2 == 0, crowd.truth, -1)

    found = prefixes(touchstone.MODEL, Answers(a.item, a.annotator, a.label, a.I, a.J, a.K, gold), form=Form.FULL)

    assert len(found.posterior) == 50
    assert abs(float(found.answers.sum()) / (a.N / 2) - foresight.SHARE) < 0.05
    truth = crowd.truth[gold < 0]
    assert float((found.likelihood.argmax(1) == truth).double().mean()) > 0.85
    assert bool((found.likelihood.amax(1) == 1).all())


def test_one_answer_to_an_item_leaves_nothing_to_foresee() -> None:
    one = torch.arange(30)
    answers = Answers(one, one % 5, one % 2, 30, 5, 2)

    found = prefixes(touchstone.MODEL, answers, form=Form.FULL)

    assert len(found.posterior) == 0
    nobody = Answers(one[:0], one[:0], one[:0], 0, 0, 2)
    assert len(prefixes(touchstone.MODEL, nobody, form=Form.FULL).posterior) == 0
