"""The answers of a crowd as tensors.

Dimensions here and in every module of this package: I items (challenges), J annotators (respondents), K classes, N
answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answer n says that item[n] is of class label[n], according to annotator[n].

    The numbering is the caller's. Items, annotators and classes numbered by the bytes of their keys make every result
    depend on the set of answers alone; the order of the answers never matters.

    Raises:
        ValueError: a field has the wrong shape, type or range; the message starts with its name.
    """

    item: Tensor  # (N,) int64 in [0, I)
    annotator: Tensor  # (N,) int64 in [0, J)
    label: Tensor  # (N,) int64 in [0, K)
    I: int
    J: int
    K: int
    gold: Tensor | None = None  # (I,) int64, the known class or -1
    history: Tensor | None = None  # (J, 2) float64, how many were right and wrong elsewhere; for `touchstone` alone

    def __post_init__(self) -> None:
        for name, size, least in (("I", self.I, 0), ("J", self.J, 0), ("K", self.K, 1)):
            if size < least:
                raise ValueError(f"{name}: must be at least {least}, not {size}")
        if self.I * self.J * self.K >= 2**63:
            raise ValueError("I: I * J * K must stay below 2^62")
        columns = [
            ("item", self.item, 0, self.I),
            ("annotator", self.annotator, 0, self.J),
            ("label", self.label, 0, self.K),
        ]
        for name, codes, _, _ in columns:
            _check_kind(name, codes, self.item.numel())
            if codes.device != self.item.device:
                raise ValueError(f"{name}: must be on {self.item.device}, not {codes.device}")
        if self.gold is not None:
            _check_kind("gold", self.gold, self.I)
            columns.append(("gold", self.gold, -1, self.K))
        _check_range(columns)
        if self.history is not None:
            _check_history(self.history, self.J)

    @property
    def N(self) -> int:
        return int(self.item.numel())

    @property
    def device(self) -> torch.device:
        return self.item.device

    def to(self, device: torch.device | str) -> "Answers":
        """The same answers on another device."""
        gold = None if self.gold is None else self.gold.to(device)
        history = None if self.history is None else self.history.to(device)
        return Answers(
            self.item.to(device),
            self.annotator.to(device),
            self.label.to(device),
            self.I,
            self.J,
            self.K,
            gold,
            history,
        )


def _check_kind(name: str, codes: Tensor, length: int) -> None:
    if codes.dtype != torch.int64:
        raise ValueError(f"{name}: must be int64, not {codes.dtype}")
    if codes.shape != (length,):
        raise ValueError(f"{name}: must have shape ({length},), not {tuple(codes.shape)}")


def _check_range(columns: Sequence[tuple[str, Tensor, int, int]]) -> None:
    """Of names, codes, the least that they may be and what they must be below. One look at the device for all."""
    columns = [column for column in columns if column[1].numel()]
    if not columns:
        return
    ends = torch.stack([end for _, codes, _, _ in columns for end in codes.aminmax()]).tolist()
    for (name, _, least, size), low, high in zip(columns, ends[::2], ends[1::2], strict=True):
        if low < least or high >= size:
            raise ValueError(f"{name}: must lie in [{least}, {size}), not reach from {low} to {high}")


def _check_history(history: Tensor, J: int) -> None:
    if history.dtype != torch.float64:
        raise ValueError(f"history: must be float64, not {history.dtype}")
    if history.shape != (J, 2):
        raise ValueError(f"history: must have shape ({J}, 2), not {tuple(history.shape)}")
    if not bool((history.isfinite() & (history >= 0)).all()):
        raise ValueError("history: must be finite and not negative")
