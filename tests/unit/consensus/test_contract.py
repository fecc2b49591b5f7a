"""What every model in the registry promises."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, seed

from consensus.answers import Answers
from consensus.fit import Fit, leading
from consensus.model import Model
from consensus.registry import MODELS
from consensus.scores import score
from consensus.simulation import simulate
from consensus.statistics import GRID, Form, count, form_for, quantise, width
from tests.unit.consensus.crowds import PROPERTY, answers_of, crowds, permutation, shuffled, small_crowd, triples_of

pytestmark = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())

APPROXIMATE = {"wawa", "zero-based-skill", "glad", "kos", "ebcc"}
"""Models that know more in a fit than statistics and prior hold; their docstrings say what a live update does."""


def most(model: Model, K: int) -> int:
    """K, or as many classes as the model takes."""
    return min(K, 2) if model.name == "kos" else K


def with_gold(answers: Answers) -> Answers:
    """The answers, every seventh item of them gold of class 1."""
    gold = torch.full((answers.I,), -1, device=answers.device)
    gold[::7] = 1
    return replace(answers, gold=gold)


def folded(model: Model, answers: Answers) -> Answers:
    """The answers, with classes taken together if they are too many for the model."""
    K = most(model, answers.K)
    gold = None if answers.gold is None else torch.where(answers.gold < 0, -1, answers.gold % K)
    return Answers(answers.item, answers.annotator, answers.label % K, answers.I, answers.J, K, gold)


def fitted(model: Model, answers: Answers) -> Fit:
    """The fit to one of the crowds that all properties are looked for in, which are the same because of their seed."""
    gold = None if answers.gold is None else tuple(answers.gold.tolist())
    return _fitted(model.name, tuple(triples_of(answers)), answers.I, answers.J, answers.K, gold)


@cache
def _fitted(
    name: str, triples: tuple[tuple[int, int, int], ...], I: int, J: int, K: int, gold: tuple[int, ...] | None
) -> Fit:
    return MODELS[name].fit(answers_of(triples, I, J, K, gold))


@seed(0)
@given(answers=crowds())
@PROPERTY
def test_any_crowd_gets_probabilities(model: Model, answers: Answers) -> None:
    answers = folded(model, answers)
    fit = fitted(model, answers)

    assert fit.posterior.shape == (answers.I, answers.K)
    assert fit.posterior.dtype == torch.float64
    assert bool((fit.posterior >= 0).all())
    torch.testing.assert_close(fit.posterior.sum(1), torch.ones(answers.I, dtype=torch.float64), rtol=0, atol=1e-8)
    assert torch.equal(fit.posterior, quantise(fit.posterior))
    assert torch.equal(fit.statistics, count(form_for(answers.K), answers, fit.posterior))
    assert fit.published.shape == fit.posterior.shape
    assert fit.published.dtype == torch.float64
    assert bool((fit.published >= 0).all())
    torch.testing.assert_close(fit.published.sum(1), torch.ones(answers.I, dtype=torch.float64), rtol=0, atol=1e-8)
    assert (fit.model, fit.version) == (model.name, model.version)


@seed(0)
@given(answers=crowds())
@PROPERTY
def test_the_objective_never_falls(model: Model, answers: Answers) -> None:
    answers = folded(model, answers)
    objective = torch.tensor(fitted(model, answers).objective, dtype=torch.float64)

    assert bool((objective.diff() >= -1e-10 * (1 + objective[1:].abs())).all())


@seed(0)
@given(answers=crowds())
@PROPERTY
def test_a_live_update_from_the_end_of_a_fit_stays_there(model: Model, answers: Answers) -> None:
    if model.name in APPROXIMATE:
        return
    fit = fitted(model, answers)

    again = model.update(answers, fit.statistics, fit.prior, form=form_for(answers.K))

    torch.testing.assert_close(again, fit.posterior, rtol=0, atol=1e-6 if fit.converged else 1e-2)
    shown = model.publish(answers, fit.statistics, fit.prior, form=form_for(answers.K))
    torch.testing.assert_close(shown, fit.published, rtol=0, atol=1e-6 if fit.converged else 1e-2)


@pytest.mark.parametrize("form", Form)
def test_a_live_update_gives_nearly_all_the_answers_of_the_fit(model: Model, form: Form) -> None:
    answers = folded(model, simulate(11).answers)
    fit = model.fit(answers, form=form)

    again = model.update(answers, fit.statistics, fit.prior, form=form)

    assert float((again.argmax(1) == fit.answer).to(torch.float64).mean()) > 0.95


@seed(0)
@given(answers=crowds())
@PROPERTY
def test_it_converges(model: Model, answers: Answers) -> None:
    if model.name != "kos":  # it need not, among a handful of answers
        assert fitted(model, folded(model, answers)).converged


def test_every_iteration_is_on_record(model: Model) -> None:
    fit = model.fit(folded(model, small_crowd()))

    assert fit.converged
    assert len(fit.objective) + len(fit.residuals) == (0 if model.name == "wawa" else fit.iterations)
    assert not fit.residuals or fit.residuals[-1] <= 1e-6


@seed(0)
@given(answers=crowds())
@PROPERTY
def test_gold_is_clamped(model: Model, answers: Answers) -> None:
    answers = folded(model, answers)
    if answers.gold is None:
        return
    fit = fitted(model, answers)
    live = model.update(answers, fit.statistics, fit.prior, form=form_for(answers.K))
    for posterior in (fit.posterior, live):
        for row, gold in zip(posterior.tolist(), answers.gold.tolist(), strict=True):
            if gold >= 0:
                assert row == [1.0 if k == gold else 0.0 for k in range(answers.K)]


@seed(0)
@given(answers=crowds())
@PROPERTY
def test_one_pass_infers_both_posteriors(model: Model, answers: Answers) -> None:
    answers = folded(model, answers)
    form = form_for(answers.K)
    fit = fitted(model, answers)
    known = fit.statistics, fit.prior

    found = model.infer(answers, *known, form=form)

    assert torch.equal(found.posterior, model.update(answers, *known, form=form))
    assert torch.equal(found.published, model.publish(answers, *known, form=form))


@seed(0)
@given(answers=crowds())
@PROPERTY
def test_what_is_gold_leaves_no_trace_in_what_is_published(model: Model, answers: Answers) -> None:
    answers = folded(model, answers)
    form = form_for(answers.K)
    fit = fitted(model, answers)
    plain = replace(answers, gold=None)

    published = model.publish(answers, fit.statistics, fit.prior, form=form)

    assert torch.equal(published, model.publish(plain, fit.statistics, fit.prior, form=form))
    raw = model.update(plain, fit.statistics, fit.prior, form=form)
    assert bool(leading(published).logical_and(leading(raw)).any(1).all())
    if answers.gold is not None:
        gold = answers.gold >= 0
        torch.testing.assert_close(fit.published[gold], published[gold], rtol=0, atol=0)


def test_the_order_of_answers_leaves_no_trace(model: Model, device: torch.device) -> None:
    answers = with_gold(folded(model, small_crowd())).to(device)
    fit = model.fit(answers)
    for number in range(3):
        other = model.fit(shuffled(answers, number))
        assert torch.equal(other.posterior, fit.posterior)
        assert torch.equal(other.published, fit.published)
        assert torch.equal(other.statistics, fit.statistics)
        assert other.objective == fit.objective
        assert other.prior.to_json() == fit.prior.to_json()


def test_another_number_of_threads_gives_the_same_bits(model: Model) -> None:
    items, crowd = (400, 20) if model.name == "ebcc" else (4000, 100)  # its tensors, with all subtypes, are as large
    answers = folded(model, simulate(3, challenges=items, classes=10, answers=10 * items, respondents=crowd).answers)
    fits = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        fits.append(model.fit(answers))

    assert torch.equal(fits[0].posterior, fits[1].posterior)
    assert torch.equal(fits[0].published, fits[1].published)
    assert fits[0].prior.to_json() == fits[1].prior.to_json()


def test_names_change_nothing_but_the_last_bits(model: Model) -> None:
    answers = folded(model, small_crowd())
    item, annotator, label = permutation(answers.I, 1), permutation(answers.J, 2), permutation(answers.K, 3)
    renamed = Answers(
        item[answers.item], annotator[answers.annotator], label[answers.label], answers.I, answers.J, answers.K
    )

    fit, other = model.fit(answers), model.fit(renamed)

    torch.testing.assert_close(other.posterior[item][:, label], fit.posterior, rtol=0, atol=1e-8)
    torch.testing.assert_close(other.published[item][:, label], fit.published, rtol=0, atol=1e-8)


def test_devices_agree(model: Model, device: torch.device) -> None:
    answers = folded(model, small_crowd())
    torch.testing.assert_close(
        model.fit(answers.to(device)).posterior.cpu(), model.fit(answers).posterior, rtol=0, atol=1e-8
    )


def test_a_single_answer_is_believed(model: Model) -> None:
    fit = model.fit(answers_of([(0, 0, 1)], 1, 1, most(model, 3)))

    assert fit.answer.tolist() == [1]
    assert float(fit.confidence) > 0.5


@pytest.mark.parametrize("K", [100, 16])
def test_one_answer_each_among_many_classes_is_believed(model: Model, K: int) -> None:
    K = most(model, K)
    answers = answers_of([(i, i % 5, (7 * i) % K) for i in range(200)], 200, 5, K)

    fit = model.fit(answers)

    assert torch.equal(fit.answer, answers.label)
    assert bool(
        (model.update(answers, 0 * fit.statistics, model.prior(K, form_for(K)), form=form_for(K)) > 0.5).any(1).all()
    )


def test_unanimous_answers_are_right(model: Model) -> None:
    fit = model.fit(answers_of([(i, j, 0) for i in range(30) for j in range(4)], 30, 4, most(model, 3)))

    assert fit.answer.tolist() == [0] * 30
    assert float(fit.posterior.amax(1).min()) > 0.99
    assert float(fit.confidence.min()) > 0.8


def test_a_class_that_nobody_chose_is_never_the_answer(model: Model) -> None:
    chosen = most(model, 4) - 1
    answers = small_crowd(classes=chosen)
    wider = Answers(answers.item, answers.annotator, answers.label, answers.I, answers.J, chosen + 1)

    fit = model.fit(wider)

    assert int(fit.answer.max()) < chosen


def test_one_class_is_certain(model: Model) -> None:
    fit = model.fit(answers_of([(0, 0, 0), (1, 0, 0)], 3, 2, 1))

    assert fit.posterior.tolist() == fit.published.tolist() == [[1.0]] * 3
    reliability = model.reliability(fit.statistics, fit.prior, form=Form.FULL)
    assert bool(reliability.low.le(reliability.accuracy).all())
    assert bool(reliability.high.isfinite().all())


def test_no_answers_at_all(model: Model) -> None:
    fit = model.fit(answers_of([], 2, 0, 2))

    assert fit.posterior.tolist() == fit.published.tolist() == [[0.5, 0.5]] * 2
    assert fit.statistics.shape == (0, 4)


def test_items_without_answers_change_nothing(model: Model) -> None:
    answers = folded(model, small_crowd())
    more = Answers(answers.item, answers.annotator, answers.label, answers.I + 50, answers.J, answers.K)

    torch.testing.assert_close(
        model.fit(more).posterior[: answers.I], model.fit(answers).posterior, rtol=0, atol=2 * GRID
    )


@pytest.mark.parametrize("form", Form)
def test_nothing_known_of_a_respondent_means_the_population(model: Model, form: Form) -> None:
    K = most(model, 4)
    crowd = simulate(5, challenges=300, classes=K, answers=3000, respondents=60)
    fit = model.fit(crowd.answers, form=form)

    unknown = model.reliability(torch.zeros(1, width(form, K), dtype=torch.float64), fit.prior, form=form)
    everyone = model.reliability(fit.statistics, fit.prior, form=form)

    assert float(everyone.accuracy.min()) < float(unknown.accuracy) < float(everyone.accuracy.max())
    assert float(unknown.high - unknown.low) > float((everyone.high - everyone.low).max())


@pytest.mark.parametrize("form", Form)
def test_reliability_ranks_respondents_by_skill(model: Model, form: Form) -> None:
    crowd = simulate(6, challenges=1000, classes=most(model, 4), answers=12_000, respondents=60)
    fit = model.fit(crowd.answers, form=form)

    reliability = model.reliability(fit.statistics, fit.prior, form=form)

    ranks = torch.stack([reliability.accuracy.argsort().argsort(), crowd.skill.argsort().argsort()]).to(torch.float64)
    assert float(torch.corrcoef(ranks)[0, 1]) > 0.8
    assert bool(((reliability.low < reliability.accuracy) & (reliability.accuracy < reliability.high)).all())
    rows = reliability.confusion.sum(2)
    torch.testing.assert_close(rows, torch.ones_like(rows))


@pytest.mark.parametrize("form", Form)
def test_both_forms_of_statistics_serve(model: Model, form: Form) -> None:
    answers = folded(model, small_crowd())
    fit = model.fit(answers, form=form)

    assert fit.statistics.shape == (answers.J, width(form, answers.K))
    again = model.update(answers, fit.statistics, fit.prior, form=form)
    assert again.shape == fit.posterior.shape
    if model.name not in APPROXIMATE:
        torch.testing.assert_close(again, fit.posterior, rtol=0, atol=1e-6)


def test_prior_before_any_answer_survives_json(model: Model) -> None:
    for K in {most(model, K) for K in (1, 2, 16, 17, 300)}:
        prior = model.prior(K, form_for(K))
        assert type(prior).from_json(prior.to_json()).to_json() == prior.to_json()
        assert prior["classes"].shape == (K,)


def test_accuracy_on_a_simulated_crowd(model: Model) -> None:
    crowd = simulate(7, classes=most(model, 4))
    votes = score(MODELS["majority"].fit(crowd.answers).posterior, crowd.truth).accuracy

    accuracy = score(model.fit(crowd.answers).published, crowd.truth).accuracy

    assert accuracy >= (votes if model.name == "majority" else votes + 0.05)
