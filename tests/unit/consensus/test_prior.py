import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from consensus.prior import Prior
from tests.unit.consensus.crowds import PROPERTY


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
@PROPERTY
def test_json_keeps_every_bit(values: list[float]) -> None:
    prior = Prior({"b": torch.tensor(values, dtype=torch.float64), "a": torch.eye(3, dtype=torch.float64)})

    restored = Prior.from_json(prior.to_json())

    assert list(restored) == ["a", "b"]
    assert all(torch.equal(restored[name], prior[name]) for name in prior)
    assert restored.to_json() == prior.to_json()


def test_cannot_be_changed() -> None:
    tensors = {"a": torch.ones(1)}
    prior = Prior(tensors)

    tensors["b"] = torch.ones(1)

    assert len(prior) == 1
    assert not hasattr(prior, "__setitem__")
    assert repr(prior).startswith("Prior({'a': ")


def test_refuses_what_json_has_no_word_for() -> None:
    with pytest.raises(ValueError, match="JSON"):
        Prior({"a": torch.tensor([float("nan")])}).to_json()


def test_moves_to_a_device(device: torch.device) -> None:
    assert Prior({"a": torch.ones(2)}).to(device)["a"].device.type == device.type
