"""Tables: rows with named, typed columns, as files hold them."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

Row = TypeVar("Row")

ROWS = "Touchstone-Rows"
"""The header that says how many rows follow."""

CELLS = 10_000
"""Cells that are read and written at a time: what a chunk of rows holds, however wide they are."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `label` is text of few different values."""

    name: str
    type: Literal["text", "label", "number", "count", "flag", "time"]


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """How rows become lines of a file."""

    columns: Sequence[Column]
    cells: Callable[[Row], Sequence[object]]
    """A row's values, in the columns' order."""
    document: Callable[[Row], BaseModel]
    """A row as the API shows it in a page."""

    @property
    def chunk(self) -> int:
        """Rows to read and write at a time."""
        return max(1, CELLS // len(self.columns))


@dataclass(frozen=True, slots=True)
class Contents(Generic[Row]):
    """A table and all that is in it at one moment."""

    table: Table[Row]
    rows: int
    chunks: Generator[Sequence[Row], None, None]
