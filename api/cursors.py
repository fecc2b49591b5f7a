"""Where a page ended: opaque to clients, the last row's sort key to us."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Query

from api.problems import Fault, ProblemError

Limit = Annotated[int, Query(ge=1, le=1000, description="Items in the page, at most.")]
After = Annotated[str | None, Query(description="The `next` of the page before.")]

Ranked = tuple[float, int]
"""A place among equals: what rows are ordered by, and the id that tells apart those that have it in common."""

Named = tuple[str, str]
"""A place among names, and among names within one of them."""

Numbered = tuple[int, int]
"""A place among numbers, and among numbers within one of them."""

Place = TypeVar("Place", int, str, Ranked, Named, Numbered)
Row = TypeVar("Row")

_LARGEST = 2**63 - 1


def encode(place: int | str | Ranked | Named | Numbered) -> str:
    """The cursor of a place."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def decode(cursor: str | None, start: Place) -> Place:
    """The place of a cursor; `start`, which says what kind of place it is, when there is none.

    Raises:
        ProblemError: it is not one of ours.
    """
    if cursor is None:
        return start
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place: Place = msgspec.json.decode(text, type=_type(start))
    except (msgspec.MsgspecError, UnicodeError, binascii.Error, ValueError):
        raise _unknown() from None
    for part in place if isinstance(place, tuple) else (place,):
        if (isinstance(part, str) and "\0" in part) or (isinstance(part, int) and abs(part) > _LARGEST):
            raise _unknown()
    return place


def cut(
    rows: Sequence[Row], limit: int, place: Callable[[Row], Place], *, end: Place | None = None
) -> tuple[Sequence[Row], str | None]:
    """A page of `limit` rows, and the cursor of the next if there is more: ask the database for one row too many.

    `end` is where it stopped looking before it had that many.
    """
    if len(rows) <= limit:
        return rows, None if end is None else encode(end)
    return rows[:limit], encode(place(rows[limit - 1]))


def _type(place: object) -> Any:
    """What msgspec is to make of a cursor of such a place."""
    return tuple[tuple(map(type, place))] if isinstance(place, tuple) else type(place)  # type: ignore[misc]


def _unknown() -> ProblemError:
    return ProblemError(422, "The cursor is not one this API gave.", [Fault("/query/after", "is not a cursor")])
