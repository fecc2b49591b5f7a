from typing import Any

import pytest
import torch

from consensus.answers import Answers
from tests.unit.consensus.crowds import answers_of

GOOD = torch.tensor([0, 1], dtype=torch.int64)


def test_counts_its_answers() -> None:
    assert answers_of([(0, 0, 0), (1, 0, 1)], 2, 1, 2).N == 2
    assert answers_of([], 0, 0, 1).N == 0


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("item", {"item": torch.tensor([0, 2])}),
        ("item", {"item": torch.tensor([[0, 1]])}),
        ("annotator", {"annotator": torch.tensor([0, -1])}),
        ("annotator", {"annotator": torch.tensor([0])}),
        ("label", {"label": torch.tensor([0.0, 1.0])}),
        ("label", {"label": torch.tensor([0, 5])}),
        ("gold", {"gold": torch.tensor([0, 3])}),
        ("gold", {"gold": torch.tensor([-2, 0])}),
        ("gold", {"gold": torch.tensor([0])}),
        ("history", {"history": torch.ones(2, 2)}),
        ("history", {"history": torch.ones(3, 2, dtype=torch.float64)}),
        ("history", {"history": -torch.ones(2, 2, dtype=torch.float64)}),
        ("K", {"K": 0}),
        ("J", {"J": -1}),
        ("I", {"I": 2**62}),
    ],
)
def test_names_the_field_that_is_wrong(field: str, change: dict[str, Any]) -> None:
    good: dict[str, Any] = {"item": GOOD, "annotator": GOOD, "label": GOOD, "I": 2, "J": 2, "K": 3}

    with pytest.raises(ValueError, match=f"^{field}: "):
        Answers(**{**good, **change})


def test_moves_to_a_device_whole(device: torch.device) -> None:
    moved = answers_of([(0, 0, 1)], 1, 1, 2, gold=[1]).to(device)

    assert moved.device.type == device.type
    assert moved.gold is not None
    assert moved.gold.device.type == device.type
