"""Lists of records of one kind, packed one behind the other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Records = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Pieces:
    """I lists."""

    records: Records
    """(N,) those of the first list, then of the second, and so on."""
    sizes: Ints
    """(I,) how many each has."""

    @classmethod
    def of(cls, kind: np.dtype[Any], octets: bytes, sizes: Ints) -> "Pieces":
        """From their octets, of which each list has so many."""
        return cls(np.frombuffer(octets, kind), sizes // kind.itemsize)

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, some: Bools) -> "Pieces":
        """Some of the lists."""
        if some.all():
            return self
        return Pieces(self.records.take(np.flatnonzero(some.repeat(self.sizes))), self.sizes[some])

    @property
    def starts(self) -> Ints:
        """(I,) where in `records` each begins."""
        return self.sizes.cumsum() - self.sizes

    @property
    def parameters(self) -> dict[str, Any]:
        """For a statement that cuts each from `packed`, by `starts`, from 1, and `sizes` in octets."""
        width = self.records.itemsize
        starts, sizes = (self.starts * width + 1).astype(np.int32), (self.sizes * width).astype(np.int32)
        return {"packed": self.records.tobytes(), "starts": starts, "sizes": sizes}
