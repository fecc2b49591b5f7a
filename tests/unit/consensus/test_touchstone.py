"""What the default model promises beyond the contract of all models. Seeds are fixed: none of it is left to chance."""

import pytest
import torch

from consensus.answers import Answers
from consensus.digest import digest
from consensus.exclusion import exclude
from consensus.form import Form, form_for
from consensus.scores import score
from consensus.simulation import Crowd, simulate
from consensus.touchstone import MODEL
from tests.unit.consensus.crowds import answers_of, shuffled, small_crowd


def misled(crowd: Crowd) -> Answers:
    """The same questions, each easy or misleading for everybody: answers are right, or one wrong class, by its ease."""
    answers, random = crowd.answers, torch.Generator().manual_seed(1)
    ease = 0.3 + 0.7 * torch.rand(answers.I, generator=random)
    right = torch.rand(answers.N, generator=random) < ease[answers.item]
    truth = crowd.truth[answers.item]
    label = torch.where(right, truth, (truth + 1) % answers.K)
    return Answers(answers.item, answers.annotator, label, answers.I, answers.J, answers.K)


def test_the_shape_says_what_was_measured() -> None:
    crowd = simulate(2, challenges=300, classes=3, answers=3000, respondents=40)
    plain, together = MODEL.fit(crowd.answers), MODEL.fit(misled(crowd))

    assert (plain.shape, together.shape) == ("independent", "correlated")
    assert plain.reason.endswith(f"is {float(plain.prior['agreement']):.4f}, not above 0.035")
    assert together.reason.endswith(f"is {float(together.prior['agreement']):.4f}, above 0.035")


def test_what_is_published_claims_less_than_the_raw_posterior() -> None:
    fit = MODEL.fit(small_crowd())

    assert torch.equal(fit.published.argmax(1), fit.posterior.argmax(1))
    assert float(fit.confidence.mean()) < float(fit.posterior.amax(1).mean())
    assert float(fit.confidence.max()) < 0.99


def test_unanimous_answers_to_few_challenges_are_not_certain() -> None:
    fit = MODEL.fit(answers_of([(i, j, i % 2) for i in range(4) for j in range(2)], 4, 2, 2))

    assert 0.6 < float(fit.confidence.min()) <= float(fit.confidence.max()) < 0.95


def with_gold(crowd: Crowd, every: int) -> Answers:
    a = crowd.answers
    gold = torch.where(torch.arange(a.I) % every == 0, crowd.truth, -1)
    return Answers(a.item, a.annotator, a.label, a.I, a.J, a.K, gold)


def with_history(answers: Answers, history: list[list[float]]) -> Answers:
    a = answers
    known = torch.tensor(history, dtype=torch.float64)
    return Answers(a.item, a.annotator, a.label, a.I, a.J, a.K, a.gold, known)


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("known", [False, True])
def test_an_item_is_inferred_alike_alone_and_among_many(form: Form, known: bool) -> None:
    crowd = simulate(3, challenges=40, classes=3, answers=200, respondents=12)
    answers = with_history(crowd.answers, [[4.0, 1.0]] * 12) if known else crowd.answers
    fit = MODEL.fit(answers, form=form)
    together = MODEL.infer(answers, fit.statistics, fit.prior, form=form)

    for i in range(answers.I):
        mine = answers.item == i
        codes = torch.zeros_like(answers.item[mine]), answers.annotator[mine], answers.label[mine]
        one = Answers(*codes, 1, answers.J, answers.K, history=answers.history)  # fewer answers than cells
        alone = MODEL.infer(one, fit.statistics, fit.prior, form=form)
        torch.testing.assert_close(alone.posterior[0], together.posterior[i], rtol=0, atol=2**-32)
        torch.testing.assert_close(alone.published[0], together.published[i], rtol=0, atol=2**-43)


@pytest.mark.parametrize("K", [2, 3])
def test_one_respondent_who_answers_everything_is_believed_and_the_fit_converges(K: int) -> None:
    answers = answers_of([(i, 0, (i * i) % 7 % K) for i in range(2000)], 2000, 1, K)

    fit = MODEL.fit(answers)

    assert fit.converged
    assert torch.equal(fit.answer, answers.label)


@pytest.mark.parametrize(("K", "N"), [(2, 8000), (4, 6000), (4, 20_000)])
def test_intervals_hold_the_true_skill_of_nearly_all(K: int, N: int) -> None:
    crowd = simulate(21, classes=K, answers=N)
    fit = MODEL.fit(crowd.answers)

    reliability = MODEL.reliability(fit.statistics, fit.prior, form=form_for(K))

    held = (reliability.low <= crowd.skill) & (crowd.skill <= reliability.high)
    assert float(held.to(torch.float64).mean()) >= 0.9


def test_gold_moves_the_level_of_confidence_to_what_gold_shows() -> None:
    crowd = simulate(22, classes=2, answers=8000)
    without = MODEL.fit(crowd.answers)
    answers = with_gold(crowd, every=4)
    fit = MODEL.fit(answers)
    open_ = torch.arange(answers.I) % 4 != 0
    truth = torch.where(open_, crowd.truth, -1)
    unmatched = type(fit.prior)({**fit.prior, "level": without.prior["level"]})

    def log_loss(prior: object) -> float:
        assert isinstance(prior, type(fit.prior))
        published = MODEL.publish(answers, fit.statistics, prior, form=Form.FULL)
        return score(published, truth).log_loss

    assert fit.prior["level"] != without.prior["level"]
    assert log_loss(fit.prior) < log_loss(unmatched)


def test_gold_that_nobody_answered_changes_nothing() -> None:
    plain = small_crowd()
    wider = Answers(plain.item, plain.annotator, plain.label, plain.I + 1, plain.J, plain.K)
    gold = torch.full((wider.I,), -1).index_fill(0, torch.tensor([plain.I]), 0)
    clamped = Answers(plain.item, plain.annotator, plain.label, wider.I, plain.J, plain.K, gold)

    assert torch.equal(MODEL.fit(clamped).prior["level"], MODEL.fit(wider).prior["level"])


@pytest.mark.parametrize("form", Form)
def test_a_history_decides_between_two_who_disagree(form: Form) -> None:
    answers = answers_of([(i, j, (i + j) % 2) for i in range(20) for j in range(2)], 20, 2, 2)
    trusted = with_history(answers, [[90.0, 10.0], [10.0, 10.0]])

    fit = MODEL.fit(trusted, form=form)
    known = MODEL.reliability(fit.statistics, fit.prior, form=form, history=trusted.history)
    unknown = MODEL.reliability(torch.zeros_like(fit.statistics), fit.prior, form=form)

    assert torch.equal(fit.answer, torch.arange(20) % 2)
    assert float(known.accuracy[0]) > float(known.accuracy[1])
    assert float((known.high - known.low)[0]) < float((unknown.high - unknown.low)[0])
    live = MODEL.update(trusted, fit.statistics, fit.prior, form=form)
    torch.testing.assert_close(live, fit.posterior, rtol=0, atol=1e-6)


def test_a_history_of_nothing_changes_nothing_but_is_in_the_digest() -> None:
    answers = small_crowd()
    nothing = with_history(answers, [[0.0, 0.0]] * answers.J)

    assert torch.equal(MODEL.fit(nothing).posterior, MODEL.fit(answers).posterior)
    assert digest(nothing) != digest(answers)


def test_habits_tell_guesses_from_knowledge_where_nobody_shares_a_challenge() -> None:
    """Ten respondents who always give one class, and ten who vary: the former are published with less confidence."""
    habitual = answers_of([(i, i % 10, (i % 10) % 2) for i in range(400)], 400, 10, 2)
    varied = answers_of([(i, i % 10, (i // 10) % 2) for i in range(400)], 400, 10, 2)

    def confidence(answers: Answers) -> float:
        fit = MODEL.fit(answers)
        assert torch.equal(fit.published.argmax(1), answers.label)
        return float(fit.confidence.mean())

    assert confidence(habitual) < 0.65
    assert 0.75 < confidence(varied) < 0.9


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("seed", [0, 1])
def test_an_answer_taken_out_of_its_item_leaves_what_the_others_say(form: Form, seed: int) -> None:
    answers = simulate(seed, challenges=300, classes=4, answers=1500, respondents=60).answers
    fit = MODEL.fit(answers, form=form)
    known = fit.statistics, fit.prior
    some = torch.randperm(answers.N, generator=torch.Generator().manual_seed(seed))[:200]

    rest = MODEL.without(answers, some, *known, form=form)

    others = exclude(lambda others: MODEL.publish(others, *known, form=form), answers, some)
    assert torch.equal(rest, others)
    found = MODEL.infer(answers, *known, form=form)
    assert torch.equal(rest, MODEL.without(answers, some, *known, form=form, found=found))


@pytest.mark.parametrize("form", Form)
def test_a_live_update_does_not_see_in_which_order_answers_come(form: Form) -> None:
    answers = simulate(4, challenges=300, classes=5, answers=1500, respondents=60).answers
    fit = MODEL.fit(answers, form=form)

    found = MODEL.infer(answers, fit.statistics, fit.prior, form=form)
    again = MODEL.infer(shuffled(answers, 1), fit.statistics, fit.prior, form=form)

    assert torch.equal(found.posterior, again.posterior)
    assert torch.equal(found.published, again.published)
