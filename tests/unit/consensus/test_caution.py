import torch

from consensus import caution, touchstone
from consensus.answers import Answers
from consensus.caution import Caution
from consensus.form import Form
from consensus.simulation import Kind, simulate
from consensus.skipping import Skipping
from consensus.stopping import Rule, Status
from consensus.tempering import Tempering

CLEAN = {Kind.CARELESS: 0.18, Kind.BIASED: 0.14, Kind.SPAMMER: 0.14}


def test_every_bit_is_kept() -> None:
    held = Caution(Tempering(1 / 3, 0.1), Skipping(0.1, 1 / 7, 0.9))

    assert Caution.from_json(held.to_json()) == held


def test_a_clean_crowd_settles_within_its_target() -> None:
    """One crowd, seeded."""
    crowd = simulate(11, 200, 4, 3500, 50, CLEAN)
    a = crowd.answers
    fit = touchstone.MODEL.fit(a)

    stopped = caution.learn(touchstone.MODEL, a, fit, form=Form.FULL).stop(
        fit.posterior, torch.bincount(a.item, minlength=a.I), Rule(target=0.05, minimum=2)
    )

    settled = stopped.status == Status.SETTLED
    assert float(settled.double().mean()) >= 0.8
    assert float((stopped.answer != crowd.truth)[settled].double().mean()) <= 0.05


def test_gold_tells_of_a_crowd_that_is_wrong_together() -> None:
    crowd = simulate(2, 200, 3, 2000, 40, {})
    a = crowd.answers
    misled = torch.arange(a.I) % 4 == 0  # there everybody answers what is next to the truth
    truth = torch.where(misled, (crowd.truth - 1) % a.K, crowd.truth)
    gold = torch.where(torch.arange(a.I) < 100, truth, -1)
    known = Answers(a.item, a.annotator, a.label, a.I, a.J, a.K, gold)

    def wrong(answers: Answers) -> int:
        fit = touchstone.MODEL.fit(answers)
        found = caution.learn(touchstone.MODEL, answers, fit, form=Form.FULL)
        stopped = found.stop(fit.posterior, torch.bincount(a.item, minlength=a.I), Rule(target=0.05))
        settled = (stopped.status == Status.SETTLED) & (gold < 0)
        return int((stopped.answer != truth)[settled].sum())

    assert wrong(known) < wrong(a) / 2


def test_skips_are_learned() -> None:
    crowd = simulate(3, 50, 3, 300, 20)
    fit = touchstone.MODEL.fit(crowd.answers)
    answers, skips = torch.full((200,), 6), torch.where(torch.arange(200) < 60, 6, 0)

    found = caution.learn(touchstone.MODEL, crowd.answers, fit, form=Form.FULL, asked=(answers, skips))

    assert found.skipping.share > 0.1
