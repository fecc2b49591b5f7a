import torch

from consensus.fit import Fit
from consensus.prior import Prior
from tests.unit.consensus.crowds import answers_of


def fit_with(published: list[list[float]]) -> Fit:
    return Fit(
        posterior=torch.full((len(published), len(published[0])), torch.nan, dtype=torch.float64),
        published=torch.tensor(published, dtype=torch.float64),
        statistics=torch.zeros(1, 4, dtype=torch.float64),
        prior=Prior({}),
        objective=(),
        iterations=0,
        converged=True,
        model="majority",
        version="1",
    )


def test_the_first_of_the_tied_classes_is_the_answer() -> None:
    fit = fit_with([[0.2, 0.4, 0.4 + 5e-10], [0.2, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3]])

    assert fit.answer.tolist() == [1, 2, 0]
    assert fit.ties.tolist() == [2, 1, 3]
    assert fit.confidence.tolist() == [0.4 + 5e-10, 0.5, 1 / 3]


def test_a_grade_is_the_probability_of_the_answer_given() -> None:
    answers = answers_of([(1, 0, 2), (0, 0, 0), (1, 0, 1)], 2, 1, 3)

    assert fit_with([[0.2, 0.4, 0.4], [0.2, 0.3, 0.5]]).grades(answers).tolist() == [0.5, 0.2, 0.3]
