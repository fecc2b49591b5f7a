import math

import pytest
import torch

from consensus.scores import FLOOR, score

POSTERIOR = torch.tensor([[0.5, 0.5, 0.0], [0.9, 0.1, 0.0], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0]], dtype=torch.float64)


def test_a_tie_counts_by_its_share() -> None:
    assert score(POSTERIOR, torch.tensor([1, 0, 0, 0])).accuracy == (0.5 + 1 + 0 + 1) / 4
    assert score(POSTERIOR, torch.tensor([2, 0, 0, 0])).accuracy == (0 + 1 + 0 + 1) / 4


def test_rounding_does_not_break_a_tie() -> None:
    assert score(torch.tensor([[0.5 + 4e-10, 0.5 - 4e-10]], dtype=torch.float64), torch.tensor([1])).accuracy == 0.5


def test_items_without_truth_are_left_out() -> None:
    scores = score(POSTERIOR, torch.tensor([-1, 1, -1, -1]))

    assert scores.items == 1
    assert scores.accuracy == 0
    assert scores.log_loss == pytest.approx(-math.log(0.1))
    assert scores.brier == pytest.approx(0.9**2 + 0.9**2)
    assert scores.ece == pytest.approx(0.9)


def test_log_loss_has_a_floor() -> None:
    assert score(POSTERIOR, torch.tensor([-1, -1, -1, 1])).log_loss == pytest.approx(-math.log(FLOOR))


def test_calibration_error_weighs_bins_by_items() -> None:
    sure = torch.tensor([[0.9, 0.1]] * 10 + [[0.55, 0.45]] * 30, dtype=torch.float64)
    truth = torch.tensor([0] * 9 + [1] + [0] * 15 + [1] * 15)

    assert score(sure, truth).ece == pytest.approx(0.0 * 10 / 40 + 0.05 * 30 / 40)


def test_no_truth_is_an_error() -> None:
    with pytest.raises(ValueError, match="truth"):
        score(POSTERIOR, torch.full((4,), -1))
