"""Scores of respondents within a session, and what grades mean."""

from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor

from consensus.answers import Answers
from consensus.competence import Competence, competence, vouched, weigh
from consensus.fit import Fit
from consensus.form import Form
from consensus.grading import DECISIONS, Decision, decide
from consensus.registry import MODELS
from consensus.reliability import NORMAL_95, matched_beta
from consensus.simulation import Kind, simulate
from tests.oracles import competence as oracle
from tests.unit.consensus.crowds import answers_of

MODEL = MODELS["touchstone"]


def judged(answers: Answers, fit: Fit, session: Tensor) -> Competence:
    touched = torch.zeros(answers.I, dtype=torch.bool)
    touched[answers.item[session]] = True
    here = touched[answers.item]
    some = replace(answers, item=answers.item[here], annotator=answers.annotator[here], label=answers.label[here])
    return competence(MODEL, some, session[here], fit.posterior, fit.statistics, fit.prior, form=Form.FULL)


def test_intervals_hold_the_skill() -> None:
    """About 550 respondents of four crowds, but for rings, whose members vouch for one another; over 8 crowds 96 %
    of the intervals held. A coverage of 95 % would fail this one time in 10^4."""
    held = total = 0
    for seed in range(4):
        crowd = simulate(seed)
        answers = crowd.answers
        session = torch.arange(answers.N) >= answers.N - 2000
        found = judged(answers, MODEL.fit(answers), session)
        alone = torch.tensor([kind is not Kind.RING for kind in crowd.kinds])
        seen = alone & (torch.bincount(answers.annotator[session], minlength=answers.J) > 0)
        held += int(((found.low <= crowd.skill) & (crowd.skill <= found.high))[seen].sum())
        total += int(seen.sum())

    assert held > 0.915 * total


def test_scores_against_the_oracle() -> None:
    """Sittings from one answer to 400, side by side."""
    random = Generator().manual_seed(0)
    sizes = torch.tensor([1, 3, 10, 40, 400])
    J, N, K = len(sizes), int(sizes.sum()), 4
    right = torch.where(torch.rand(N, generator=random) < 0.7, 0.97, 0.1).to(torch.float64)
    right *= torch.rand(N, generator=random, dtype=torch.float64).sqrt()
    annotator = torch.arange(J).repeat_interleave(sizes)[torch.randperm(N, generator=random)]
    here = Answers(torch.zeros(N, dtype=torch.int64), annotator, torch.zeros(N, dtype=torch.int64), 1, J, K)
    statistics = torch.zeros(J, K * K, dtype=torch.float64)
    prior = MODEL.prior(K, Form.FULL)

    nobody = torch.zeros(1, K, dtype=torch.float64)
    found = weigh(MODEL, here, right, nobody, statistics, prior, form=Form.FULL, bar=0.6)

    before = MODEL.reliability(statistics, prior, form=Form.FULL)
    a, b = matched_beta(before.accuracy, ((before.high - before.low) / NORMAL_95).square())
    for j in range(J):
        expected = oracle.weigh(float(a[j]), float(b[j]), right[annotator == j].tolist(), K, 0.6)
        judged = [float(value[j]) for value in (found.score, found.low, found.high, found.competent)]
        assert judged[0] == pytest.approx(expected[0], abs=1e-3)
        assert judged[1:] == pytest.approx(expected[1:], abs=5e-3)


def test_a_good_account_in_bad_hands_is_found_out() -> None:
    crowd = simulate(3, challenges=1000, classes=4, answers=20_000, respondents=60)
    answers = crowd.answers
    best = int(crowd.skill.argmax())
    mine = (answers.annotator == best).nonzero().squeeze(1)[-60:]
    label = answers.label.clone()
    label[mine] = torch.randint(4, (60,), generator=Generator().manual_seed(0))
    sold = replace(answers, label=label)
    session = torch.zeros(answers.N, dtype=torch.bool)
    session[mine] = True

    before = judged(answers, MODEL.fit(answers), torch.zeros_like(session))
    after = judged(sold, MODEL.fit(sold), session)

    assert float(before.low[best]) > 0.5
    assert float(after.high[best]) < float(before.score[best])
    assert float(after.score[best]) < 0.65


def test_the_score_of_a_session_grows_with_right_answers_to_gold() -> None:
    prior = MODEL.prior(2, Form.FULL)
    answers = answers_of([(i, j, int(j == 1 and i < 6)) for i in range(8) for j in range(2)], 8, 2, 2, gold=[0] * 8)
    session = torch.ones(16, dtype=torch.bool)
    known = torch.tensor([[1.0, 0.0]], dtype=torch.float64).repeat(8, 1)
    statistics = torch.tensor([[8.0, 0, 0, 0], [2.0, 6, 0, 0]], dtype=torch.float64)

    found = competence(MODEL, answers, session, known, statistics, prior, form=Form.FULL)

    assert float(found.score[0]) > 0.85
    assert float(found.score[1]) < 0.5
    assert bool(((found.low < found.score) & (found.score < found.high)).all())
    assert float(found.competent[0]) > 0.95
    assert float(found.competent[1]) < 0.2


def test_nobody_vouches_for_oneself() -> None:
    prior = MODEL.prior(2, Form.FULL)
    answers = answers_of([(0, 0, 1), (0, 0, 1), (1, 0, 1), (1, 1, 1)], 2, 2, 2)
    statistics = torch.zeros(2, 4, dtype=torch.float64)

    right = vouched(MODEL, answers, torch.tensor([True, True, True, False]), statistics, prior, form=Form.FULL)

    assert right[:2].tolist() == [0.5, 0.5]
    assert float(right[2]) > 0.5


def test_a_session_of_nobody() -> None:
    prior = MODEL.prior(2, Form.FULL)
    nothing = torch.zeros(0, 4, dtype=torch.float64)

    found = competence(
        MODEL,
        answers_of([], 0, 0, 2),
        torch.zeros(0, dtype=torch.bool),
        nothing[:, :2],
        nothing,
        prior,
        form=Form.FULL,
    )

    assert found.score.shape == found.competent.shape == (0,)


def test_grades_are_decided_by_two_thresholds() -> None:
    places = decide(torch.tensor([0.0, 0.2, 0.5, 0.8, 1.0]), pass_at=0.8, fail_at=0.2)

    fail, undecided, pass_ = Decision.FAIL, Decision.UNDECIDED, Decision.PASS
    assert [DECISIONS[place] for place in places.tolist()] == [fail, fail, undecided, pass_, pass_]
    with pytest.raises(ValueError, match=r"^fail_at: "):
        decide(torch.tensor([0.5]), pass_at=0.4, fail_at=0.6)
