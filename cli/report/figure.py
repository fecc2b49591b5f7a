"""A figure of the report: a plot, one sentence that says what to look for, and the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Table:
    """The first `names` columns are text, the others numbers. `note` says what is not in it."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    names: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """`name` is unique on the page; without charts the caption says why there are none."""

    name: str
    title: str
    caption: str
    charts: tuple[Markup, ...]
    tables: tuple[Table, ...]
    note: str = ""


def percent(share: float) -> str:
    return f"{share:.1%}"


def whole(number: float) -> str:
    return f"{number:,.0f}"


def short(number: int) -> str:
    """At most four characters: 950, 9.5k, 95k, 950k, 9.5M."""
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if number >= 0.9995 * size:
            return f"{number / size:.{int(number < 9.95 * size)}f}{letter}"
    return str(number)
