import torch

from consensus.answers import Answers
from consensus.composition import HALF, composition
from consensus.form import Form
from consensus.layout import arrange
from consensus.simulation import simulate


def test_shares_are_freed_of_errors_whatever_was_chosen_to_be_gold() -> None:
    """Of 2000 challenges a tenth is of class 1; the gold is half and half; who errs prefers class 1."""
    random = torch.Generator().manual_seed(1)
    truth = (torch.rand(2000, generator=random) < 0.1).long()
    item = torch.arange(2000).repeat(5)
    wrong = torch.rand(len(item), generator=random) < torch.where(truth[item] == 0, 0.4, 0.1)
    gold = torch.full((2000,), -1)
    for label in (0, 1):
        chosen = (truth == label).nonzero().squeeze(1)[:100]
        gold[chosen] = label
    label = torch.where(wrong, 1 - truth[item], truth[item])
    answers = Answers(item, torch.arange(len(item)) % 50, label, 2000, 50, 2, gold)

    found = composition(arrange(answers, Form.FULL))

    assert found is not None
    assert found.weight == 200 / (200 + HALF)
    assert abs(float(found.shares[1]) - 0.1) < 0.05  # of the votes it is 0.45


def test_without_answers_to_gold_nothing_is_said() -> None:
    a = simulate(1, 20, 3, 60, 10).answers
    none = Answers(a.item, a.annotator, a.label, a.I + 1, a.J, a.K, torch.tensor([-1] * a.I + [0]))

    assert composition(arrange(a, Form.FULL)) is None
    assert composition(arrange(none, Form.FULL)) is None
