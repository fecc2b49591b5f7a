"""Keys that end a path, because they may hold slashes. One that nobody can have is not found, like any other."""

from typing import Annotated

from pydantic import AfterValidator

from db.errors import NotFoundError


def _possible(key: str) -> str:
    if "\0" in key:
        raise NotFoundError("no key has NUL in it")
    return key


PathKey = Annotated[str, AfterValidator(_possible)]
"""The key of a challenge or of a respondent."""
