"""Walking through JSON: what comes next is known before it is built, so that nothing is built that nobody wants."""

import json
import re
from collections.abc import Iterator
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]+")


def decoded(body: bytes) -> str:
    """JSON as text; what is no Unicode stays in its strings, to be found out one by one."""
    return body.decode("utf-8", "surrogateescape")


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
        """Build what comes next."""
        self.next()
        value, self._place = self._decoder.raw_decode(self._text, self._place)
        return value

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
