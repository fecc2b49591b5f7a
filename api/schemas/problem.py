"""Problem documents, for the OpenAPI document alone: `api.problems` writes them."""

from typing import Any

from pydantic import BaseModel, Field

from api.problems import MEDIA_TYPE


class ProblemFault(BaseModel):
    """One thing that is wrong with a request."""

    pointer: str = Field(
        description="JSON pointer into the body; of other parts it starts with their kind.", examples=["/query/limit"]
    )
    detail: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[ProblemFault] | None = None
    oldest: str | None = Field(None, description="With 410: the cursor behind which the feed begins by now.")


_DESCRIPTIONS = {
    401: "No API key, or one that is not valid.",
    403: "The API key lacks the scope.",
    404: "No such thing in this tenant.",
    408: "The body did not come in time.",
    409: "The present state forbids it.",
    410: "What follows the cursor is no longer kept; `oldest` is the first cursor that can be followed.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    422: "The request is not valid; `errors` name each fault.",
    429: "What was taken in before waits too long already; try again after `Retry-After` seconds.",
    503: "Postgres is away, or whoever else is needed; try again after `Retry-After` seconds.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` for these statuses and for those that any route may give."""
    return {
        status: {"description": _DESCRIPTIONS[status], "content": {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE}}}}
        for status in sorted({401, 403, 422, 503, *statuses})
    }


_REFERENCE = "#/components/schemas/Problem"
