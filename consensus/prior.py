"""What is believed of a project's respondents and classes before one of them is looked at."""

import json
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

T = TypeVar("T")


class Prior(Mapping[str, Tensor]):
    """Population-level quantities by name, float64; the names are the model's business. Cannot be changed."""

    __slots__ = ("_derived", "_tensors")

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = MappingProxyType({name: tensors[name].to(torch.float64) for name in sorted(tensors)})
        self._derived: dict[Callable[[Prior], Any], Any] = {}

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return f"Prior({dict(self._tensors)!r})"

    def derived(self, make: Callable[["Prior"], T]) -> T:
        """What `make` makes of it, worked out once."""
        if make not in self._derived:
            self._derived[make] = make(self)
        return cast("T", self._derived[make])

    def to(self, device: torch.device | str) -> "Prior":
        """The same prior on another device."""
        return Prior({name: tensor.to(device) for name, tensor in self.items()})

    def to_json(self) -> str:
        """Nested lists by name. Every bit survives :meth:`from_json`."""
        return json.dumps({name: tensor.tolist() for name, tensor in self.items()}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Prior":
        return cls({name: torch.tensor(values, dtype=torch.float64) for name, values in json.loads(text).items()})
