"""Keys that end a path, because they may hold slashes. One that nobody can have is not found, like any other."""

from typing import Annotated

from pydantic import AfterValidator

from api.problems import Fault, ProblemError
from db.bodies import MAX_KEY
from db.errors import NotFoundError


def _possible(key: str) -> str:
    if "\0" in key:
        raise NotFoundError("no key has NUL in it")
    return key


PathKey = Annotated[str, AfterValidator(_possible)]
"""The key of a challenge or of a respondent."""


def require_usable(key: str, parameter: str) -> None:
    """See that something new can have this key.

    Raises:
        ProblemError: 422, it cannot; names the parameter of the path.
    """
    if not key or len(key) > MAX_KEY or "\0" in key:
        detail = f"must have 1 to {MAX_KEY} characters, none of them NUL"
        raise ProblemError(422, "The request is not valid.", [Fault(f"/path/{parameter}", detail)])
