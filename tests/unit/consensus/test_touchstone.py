import torch

from consensus.answers import Answers
from consensus.registry import MODELS
from consensus.simulation import Crowd, simulate
from tests.unit.consensus.crowds import answers_of, small_crowd

MODEL = MODELS["touchstone"]


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
