import pytest
import torch

from consensus.form import Form
from consensus.mace import MODEL, Guessing
from consensus.prior import Prior
from consensus.statistics import coin, count
from tests.unit.consensus.crowds import answers_of, small_crowd


@pytest.mark.parametrize("form", Form)
def test_nothing_near_the_maximum_is_higher(form: Form) -> None:
    """θ and φ as the model finds them against what lies around, by the expected log likelihood of all counts."""
    K, rows = 3, Guessing(form)
    answers = small_crowd(classes=K)
    full = count(Form.FULL, answers, MODEL.fit(answers).posterior)
    statistics = full if form == Form.FULL else coin(Form.FULL, K, full)
    prior = Prior({**rows.pseudo_counts(K), "classes": torch.full((K,), 1 / K, dtype=torch.float64)})
    confusion = rows.reliability(statistics, prior).confusion
    guesses = torch.stack([confusion[:, 1, 0], confusion[:, 0, 1], confusion[:, 0, 2]], 1)  # φ (J, K)
    shares = torch.cat([1 - guesses.sum(1, keepdim=True), guesses], 1)

    def height(shares: torch.Tensor) -> torch.Tensor:
        A, D = prior["guessing"]
        table = torch.diag_embed(shares[:, :1].expand(-1, K)) + shares[:, None, 1:]
        prior_part = A * shares[:, 0].log() + D / K * shares[:, 1:].log().sum(1)
        return (full.reshape(-1, K, K) * table.log()).sum((1, 2)) + prior_part

    random = torch.Generator().manual_seed(1)
    for _ in range(50):
        noise = 0.05 * torch.randn(shares.shape, dtype=torch.float64, generator=random)
        if form == Form.COIN:
            noise[:, 1:] = noise[:, 1:2]
        other = shares * noise.exp()
        assert bool((height(other / other.sum(1, keepdim=True)) < height(shares)).all())


def test_a_guesser_with_a_favourite_is_found_out() -> None:
    told = [(i, j, i % 3 if j < 3 else 0) for i in range(60) for j in range(4)]
    fit = MODEL.fit(answers_of(told, 60, 4, 3))

    reliability = MODEL.reliability(fit.statistics, fit.prior, form=Form.FULL)

    assert fit.answer.tolist() == [i % 3 for i in range(60)]
    assert float(reliability.accuracy[:3].min()) > 0.9
    assert reliability.confusion[3, :, 0].tolist() == pytest.approx([0.96, 0.9, 0.9], abs=0.05)
