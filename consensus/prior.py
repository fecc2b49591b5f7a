"""What is believed of a project's respondents and classes before one of them is looked at."""

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import torch
from torch import Tensor


class Prior(Mapping[str, Tensor]):
    """Population-level quantities by name, float64; the names are the model's business. Cannot be changed."""

    __slots__ = ("_tensors",)

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = MappingProxyType({name: tensors[name].to(torch.float64) for name in sorted(tensors)})

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return f"Prior({dict(self._tensors)!r})"

    def to(self, device: torch.device | str) -> "Prior":
        """The same prior on another device."""
        return Prior({name: tensor.to(device) for name, tensor in self.items()})

    def to_json(self) -> str:
        """Nested lists by name. Every bit survives :meth:`from_json`."""
        return json.dumps({name: tensor.tolist() for name, tensor in self.items()}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Prior":
        return cls({name: torch.tensor(values, dtype=torch.float64) for name, values in json.loads(text).items()})
