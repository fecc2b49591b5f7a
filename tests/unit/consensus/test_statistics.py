import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from consensus.answers import Answers
from consensus.statistics import GRID, Form, coin, count, difference, form_for, quantise, width
from tests.unit.consensus.crowds import PROPERTY, answers_of, crowds, small_crowd, triples_of

FORMS = pytest.mark.parametrize("form", Form)


def posterior_of(answers: Answers, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return quantise(torch.rand(answers.I, answers.K, dtype=torch.float64, generator=random).softmax(1))


def test_forms() -> None:
    assert [form_for(K) for K in (1, 16, 17)] == [Form.FULL, Form.FULL, Form.COIN]
    assert [width(Form.FULL, 4), width(Form.COIN, 4)] == [16, 5]


@given(answers=crowds())
@PROPERTY
def test_counts_are_sums_of_posteriors(answers: Answers) -> None:
    posterior = posterior_of(answers, 1)
    full = torch.zeros(answers.J, answers.K, answers.K, dtype=torch.float64)
    one = torch.zeros(answers.J, 1 + answers.K, dtype=torch.float64)
    for item, annotator, label in triples_of(answers):
        full[annotator, :, label] += posterior[item]
        one[annotator, 0] += posterior[item, label]
        one[annotator, 1 + label] += 1

    assert torch.equal(count(Form.FULL, answers, posterior), full.reshape(answers.J, -1))
    assert torch.equal(count(Form.COIN, answers, posterior), one)
    torch.testing.assert_close(coin(Form.FULL, answers.K, full.reshape(answers.J, -1)), one, rtol=0, atol=1e-7)
    assert coin(Form.COIN, answers.K, one) is one


@FORMS
@given(order=st.permutations(range(12)))
@PROPERTY
def test_adding_and_taking_out_in_any_order_restores_every_bit(form: Form, order: list[int]) -> None:
    answers = small_crowd()
    parts = [
        Answers(answers.item[part::12], answers.annotator[part::12], answers.label[part::12], answers.I, answers.J, 4)
        for part in range(12)
    ]
    posterior = posterior_of(answers, 2)
    statistics = count(form, answers, posterior)

    changed = statistics
    for part in order:
        changed = changed - count(form, parts[part], posterior)
    assert not changed.any()
    for part in range(12):
        changed = changed + count(form, parts[part], posterior)

    assert torch.equal(changed, statistics)


@FORMS
@given(answers=crowds(), seed=st.integers(0, 99))
@PROPERTY
def test_a_difference_leads_from_one_count_to_another(form: Form, answers: Answers, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    step = torch.randint(-1, 2, (answers.N,), generator=random)
    old, new = posterior_of(answers, seed), posterior_of(answers, seed + 1)

    def counted(mask: torch.Tensor, posterior: torch.Tensor) -> torch.Tensor:
        codes = answers.item[mask], answers.annotator[mask], answers.label[mask]
        return count(form, Answers(*codes, answers.I, answers.J, answers.K), posterior)

    before, after = counted(step <= 0, old), counted(step >= 0, new)
    assert torch.equal(before + difference(form, answers, step, new, old), after)


def test_a_million_answers_of_one_annotator_stay_exact() -> None:
    N = 2**20
    everything = Answers(torch.arange(N), torch.zeros(N, dtype=torch.int64), torch.zeros(N, dtype=torch.int64), N, 1, 2)
    posterior = posterior_of(everything, 3)
    one = answers_of([(0, 0, 0)], 1, 1, 2)
    statistics = count(Form.FULL, everything, posterior)
    units = (posterior[:, 0] / GRID).to(torch.int64).sum()

    assert int(statistics[0, 0] / GRID) == int(units)
    added = statistics + count(Form.FULL, one, posterior[5:6])
    assert torch.equal(added - count(Form.FULL, one, posterior[5:6]), statistics)


def test_quantise_rounds_to_the_grid_and_stays_there() -> None:
    posterior = torch.tensor([[1 / 3, 2 / 3], [1e-12, 1 - 1e-12]], dtype=torch.float64)

    rounded = quantise(posterior)

    assert torch.equal(rounded / GRID, (rounded / GRID).round())
    assert torch.equal(quantise(rounded), rounded)
    assert float((rounded - posterior).abs().max()) <= GRID / 2
