import pytest
import torch

from consensus.form import Form
from consensus.ibcc import MODEL
from tests.unit.consensus.crowds import answers_of


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("K", [2, 3, 16, 100])
def test_one_answer_of_somebody_unknown_is_worth_the_same_whatever_the_number_of_classes(K: int, form: Form) -> None:
    answers = answers_of([(0, 0, 1)], 1, 1, K)
    prior = MODEL.prior(K, form)
    nothing = torch.zeros(1, K * K if form == Form.FULL else 1 + K, dtype=torch.float64)

    posterior = MODEL.update(answers, nothing, prior, form=form)

    assert float(posterior[0, 1]) == pytest.approx(0.862, abs=0.001)
