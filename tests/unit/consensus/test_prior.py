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


def test_what_follows_from_it_is_worked_out_once() -> None:
    prior = Prior({"a": torch.ones(3)})

    def total(prior: Prior) -> torch.Tensor:
        return prior["a"].sum()

    assert prior.derived(total) == 3
    assert prior.derived(total) is prior.derived(total)
    assert Prior({"a": torch.ones(2)}).derived(total) == 2


def test_refuses_what_json_has_no_word_for() -> None:
    with pytest.raises(ValueError, match="JSON"):
        Prior({"a": torch.tensor([float("nan")])}).to_json()


def test_moves_to_a_device(device: torch.device) -> None:
    assert Prior({"a": torch.ones(2)}).to(device)["a"].device.type == device.type
