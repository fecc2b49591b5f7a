import pytest
import torch
from torch import Tensor

from consensus import live
from consensus.answers import Answers
from consensus.model import Model
from consensus.registry import MODELS
from consensus.scores import score
from consensus.simulation import Crowd, simulate
from consensus.statistics import Form, count, width

FORMS = pytest.mark.parametrize("form", Form)
INFERRING = pytest.mark.parametrize(
    "model", [MODELS["dawid-skene"], MODELS["one-coin"]], ids=["dawid-skene", "one-coin"]
)


def stream(crowd: Crowd, model: Model, form: Form, batch: int) -> tuple[Tensor, Tensor]:
    """Grade a crowd batch by batch as it arrives: posteriors and statistics at the end."""
    answers, prior = crowd.answers, model.prior(crowd.answers.K, form)
    posterior = torch.zeros(answers.I, answers.K, dtype=torch.float64)
    statistics = torch.zeros(answers.J, width(form, answers.K), dtype=torch.float64)
    for start in range(0, answers.N, batch):
        touched = torch.zeros(answers.I, dtype=torch.bool)
        touched[answers.item[start : start + batch]] = True
        before, after = (_of_items(answers, touched, end) for end in (start, start + batch))
        revision = live.revise(model, before, posterior[touched], after, statistics, prior, form=form)
        posterior[touched], statistics = revision.posterior, revision.statistics
    return posterior, statistics


def _of_items(answers: Answers, touched: Tensor, end: int) -> Answers:
    item, annotator, label = answers.item[:end], answers.annotator[:end], answers.label[:end]
    mine = touched[item]
    place = touched.cumsum(0) - 1
    return Answers(place[item[mine]], annotator[mine], label[mine], int(touched.sum()), answers.J, answers.K)


@INFERRING
@FORMS
def test_a_stream_ends_where_the_whole_fit_does(model: Model, form: Form) -> None:
    crowd = simulate(8)

    posterior, statistics = stream(crowd, model, form, batch=500)

    assert torch.equal(statistics, count(form, crowd.answers, posterior))
    whole = score(model.fit(crowd.answers, form=form).posterior, crowd.truth).accuracy
    assert score(posterior, crowd.truth).accuracy > whole - 0.015


@INFERRING
def test_an_answer_that_no_longer_counts_is_taken_out_to_the_bit(model: Model) -> None:
    crowd = simulate(9, challenges=100, answers=500, respondents=20)
    answers = crowd.answers
    fit = model.fit(answers, form=Form.FULL)
    kept = torch.arange(answers.N) != 7
    fewer = Answers(answers.item[kept], answers.annotator[kept], answers.label[kept], answers.I, answers.J, answers.K)

    revision = live.revise(model, answers, fit.posterior, fewer, fit.statistics, fit.prior, form=Form.FULL)

    assert torch.equal(revision.statistics, count(Form.FULL, fewer, revision.posterior))
