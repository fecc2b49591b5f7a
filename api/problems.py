"""Errors as clients see them: RFC 9457 problem documents, made in this one place."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from api.outages import is_outage, took_too_long
from db.errors import ConflictError, NotFoundError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "1"
BRIEF = 120
"""Characters of what a client named that a fault repeats, at most: a body may have ten thousand faults."""
NAMED = 1000
"""Faults that a problem document names, at most."""
CLOSED = 499
"""The status that is counted when the client left before it was answered."""


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request: where, as a JSON pointer, and what."""

    pointer: str
    detail: str


class ProblemError(HTTPException):
    """What went wrong, as the client is told."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        *,
        oldest: str | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.errors = errors
        self.oldest = oldest


def brief(text: str) -> str:
    """What a fault repeats of a text."""
    return text if len(text) <= BRIEF else f"{text[: BRIEF - 3]}..."


def refusal(detail: str, faults: Sequence[Fault]) -> ProblemError:
    """What is wrong with a request, as far as it is named."""
    if len(faults) > NAMED:
        detail = f"{detail} The first {NAMED:,} of {len(faults):,} faults are named."
    return ProblemError(422, detail, faults[:NAMED])


def unavailable(detail: str) -> ProblemError:
    """The same request may succeed in a moment; a batch may have been stored all the same, as its key will tell."""
    return ProblemError(503, detail, headers={"Retry-After": RETRY_AFTER})


def respond(problem: HTTPException) -> Response:
    """The document of a problem."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": problem.detail,
    }
    if isinstance(problem, ProblemError) and problem.errors:
        document["errors"] = problem.errors
    if isinstance(problem, ProblemError) and problem.oldest:
        document["oldest"] = problem.oldest
    return Response(msgspec.json.encode(document), problem.status_code, problem.headers, MEDIA_TYPE)


def translate(error: Exception) -> Response:
    """What a client is told of an error; one that has no translation is raised again and becomes a 500."""
    match error:
        case HTTPException():
            return respond(error)
        case RequestValidationError():
            return respond(refusal("The request is not valid.", [fault(found) for found in error.errors()]))
        case NotFoundError():
            return respond(ProblemError(404, str(error)))
        case ConflictError():
            return respond(ProblemError(409, str(error)))
        case ClientDisconnect():
            return Response(status_code=CLOSED)
        case _ if is_outage(error):
            return respond(unavailable("The database cannot be reached."))
        case _ if took_too_long(error):
            return respond(unavailable("The database took too long."))
    raise error


async def handle(_request: Request, error: Exception) -> Response:
    """:func:`translate` for what a route raised."""
    return translate(error)


_TRANSLATED = (
    HTTPException,
    RequestValidationError,
    NotFoundError,
    ConflictError,
    ClientDisconnect,
    DBAPIError,
    PoolTimeoutError,
)

HANDLERS: Mapping[Any, ExceptionHandler] = dict.fromkeys(_TRANSLATED, handle)


def faults(error: ValidationError, *place: str | int) -> list[Fault]:
    """What is wrong with something that stood at a place of the request, as for :func:`fault`."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [fault({**each, "loc": (*place, *each["loc"])}) for each in found]


def fault(error: Mapping[str, Any]) -> Fault:
    """A fault of the body points into the body; one of anything else starts with where it stood, as `/query/limit`."""
    place, *path = error["loc"]
    steps = path if place == "body" else [place, *path]
    message = str(error["msg"]).removeprefix("Value error, ")
    return Fault("".join(f"/{_escape(str(step))}" for step in steps), message)


def _escape(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
