import pytest
import torch

from consensus.errors import ConsensusError, TooManyClassesError
from consensus.kos import MODEL
from consensus.statistics import Form
from tests.unit.consensus.crowds import answers_of, small_crowd


def test_more_than_two_classes_are_refused_everywhere() -> None:
    answers = small_crowd(classes=3)
    statistics = torch.zeros(answers.J, 9, dtype=torch.float64)

    with pytest.raises(TooManyClassesError, match="kos is a model for two classes, and there are 3") as caught:
        MODEL.fit(answers)
    with pytest.raises(TooManyClassesError):
        MODEL.prior(3, Form.FULL)
    with pytest.raises(TooManyClassesError):
        MODEL.update(answers, statistics, MODEL.prior(2, Form.FULL), form=Form.FULL)
    assert isinstance(caught.value, ConsensusError)


def test_somebody_who_always_says_the_opposite_counts_for_the_opposite() -> None:
    truth = [i % 2 for i in range(20)]
    told = [(i, j, truth[i] if j < 4 else 1 - truth[i]) for i in range(20) for j in range(5) if i > 0 or j > 3]

    fit = MODEL.fit(answers_of(told, 20, 5, 2))

    assert fit.answer.tolist() == truth
