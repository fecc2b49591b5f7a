"""What is learned of a crowd between refits."""

import pytest
import torch

from consensus import population, touchstone
from consensus.answers import Answers
from consensus.form import Form
from consensus.live import revise
from consensus.simulation import simulate
from consensus.statistics import count


@pytest.mark.parametrize(
    ("answers", "known", "busy", "idle"),
    [
        (49, 0, False, False),
        (50, 0, True, True),
        (104, 100, False, False),
        (149, 100, False, True),
        (150, 100, True, True),
    ],
)
def test_due_as_answers_grow(answers: int, known: int, busy: bool, idle: bool) -> None:
    assert population.due(answers, known, idle=False) == busy
    assert population.due(answers, known, idle=True) == idle


def test_live_updates_with_what_a_sample_taught_come_near_the_fit() -> None:
    """Half of the challenges teach the population; the others, revised until they rest, end as the fit has them."""
    model, crowd = touchstone.MODEL, simulate(7, challenges=400, answers=2000, respondents=60)
    answers = crowd.answers
    mine = answers.item < 200
    sample = Answers(answers.item[mine], answers.annotator[mine], answers.label[mine], 200, answers.J, answers.K)
    prior = population.learn(model, sample, form=Form.FULL)
    raw = torch.full((answers.I, answers.K), 1 / answers.K, dtype=torch.float64)
    statistics = count(Form.FULL, answers, raw)
    for _ in range(50):
        revision = revise(model, answers, raw, answers, statistics, prior, form=Form.FULL)
        raw, statistics = revision.posterior, revision.statistics
    fit = model.fit(answers, form=Form.FULL)
    assert (raw.argmax(1) == fit.posterior.argmax(1)).double().mean() >= 0.98
