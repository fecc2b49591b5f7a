"""Walking through JSON: what comes next is known before it is built, so that nothing is built that nobody wants."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from api.problems import brief

LARGEST = 64 * 1024
"""Characters of a value that is built at once, at most: while one is, nobody else is served."""

_USUAL = 1024
"""Of nearly all values."""
_SPACE = re.compile(r"[ \t\n\r]+")


def decoded(body: bytes) -> str:
    """JSON as text; what is no Unicode stays in its strings, to be found out one by one."""
    return body.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a value that was not built, and says why."""

    detail: str


class MisshapenError(ValueError):
    """A body is not of its form."""

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer


def line(text: bytes, decoder: json.JSONDecoder) -> Any:
    """The one value of a line, or that it is unreadable."""
    walk = JsonWalk(decoded(text), decoder)
    try:
        value = walk.value()
        walk.end()
    except (ValueError, RecursionError):
        largest = "" if len(text) <= LARGEST else f" of at most {LARGEST:,} characters"
        return Unreadable(f"is not JSON{largest}")
    return value


def lines(body: bytes, decoder: json.JSONDecoder, count: Callable[[int], None]) -> list[Any]:
    """The values of lines, blank ones left out; `count` as of `JsonWalk.array`."""
    found: list[Any] = []
    for each in BytesIO(body):
        if each.strip():
            count(len(found) + 1)
            found.append(line(each, decoder))
    return found


class JsonWalk:
    """A way through a text; whatever is not JSON is a ValueError, or a RecursionError, where it is met."""

    def __init__(self, text: str, decoder: json.JSONDecoder) -> None:
        self._text = text
        self._decoder = decoder
        self._place = 0

    def next(self) -> str:
        """The character that comes next, white space left out; none at the end."""
        if space := _SPACE.match(self._text, self._place):
            self._place = space.end()
        return self._text[self._place : self._place + 1]

    def step(self, character: str) -> None:
        """Go past a character that must come next."""
        if self.next() != character:
            raise ValueError(f"no {character}")
        self._place += len(character)

    def value(self) -> Any:
        """Build what comes next, if it is not larger than `LARGEST`."""
        self.next()
        if len(self._text) - self._place <= LARGEST:
            value, self._place = self._decoder.raw_decode(self._text, self._place)
            return value
        for size in (_USUAL, LARGEST):
            try:
                value, length = self._decoder.raw_decode(self._text[self._place : self._place + size])
            except (ValueError, RecursionError):
                continue  # cut off, perhaps
            if length < size:  # else a number, perhaps, that goes on
                self._place += length
                return value
        raise MisshapenError(f"no value of at most {LARGEST:,} characters at character {self._place:,}")

    def array(self, count: Callable[[int], None]) -> list[Any]:
        """Build the elements of an array that must come next.

        Args:
            count: told of each how many there are with it, before it is built; raises if these are too many.
        """
        found: list[Any] = []
        for _ in self.members("[", "]"):
            count(len(found) + 1)
            found.append(self.value())
        return found

    def name(self) -> str:
        """The name of a member of an object, and go past its colon."""
        if self.next() != '"':
            raise ValueError("no name")
        name: str = self.value()
        self.step(":")
        return name

    def members(self, opening: str, closing: str) -> Iterator[None]:
        """Go through an array or an object, as its brackets say; each member is walked before the next is asked for."""
        self.step(opening)
        if self.next() != closing:
            yield
            while self.next() == ",":
                self.step(",")
                yield
        self.step(closing)

    def end(self) -> None:
        """Nothing may come any more."""
        if self.next():
            raise ValueError("more than one value")


def elements(body: bytes, field: str, decoder: json.JSONDecoder, count: Callable[[int], None]) -> list[Any]:
    """The elements of the array that is the one field of an object.

    Args:
        count: as of `JsonWalk.array`.

    Raises:
        MisshapenError: it is another body.
    """
    walk = JsonWalk(decoded(body), decoder)
    if walk.next() != "{":
        raise MisshapenError(f"must be an object with the field {field}")
    found: list[Any] | None = None
    try:
        for _ in walk.members("{", "}"):
            if (name := walk.name()) != field:
                raise MisshapenError("is not a field of the body", f"/{_writable(name)}")
            if walk.next() != "[":
                raise MisshapenError("must be an array", f"/{field}")
            found = walk.array(count)
        walk.end()
    except MisshapenError:
        raise
    except (ValueError, RecursionError) as error:
        raise MisshapenError(str(error)) from None
    if not found:
        raise MisshapenError("is missing" if found is None else "is empty", f"/{field}")
    return found


def _writable(name: str) -> str:
    """What a fault repeats of a name that may be no Unicode."""
    return brief(name).encode("utf-8", "replace").decode()
