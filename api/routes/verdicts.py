"""Challenges and their verdicts."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from api.access import Reader
from api.cursors import After, Limit, cut, decode
from api.doors import find_project
from api.exports import CSV, NDJSON, export_verdicts
from api.schemas.page import Page
from api.schemas.problem import problems
from api.schemas.verdict import Verdict
from api.services import Here
from db import consensus
from db.errors import NotFoundError

router = APIRouter(prefix="/v1/projects/{project}", tags=["verdicts"])

_STREAMS: dict[str, Any] = {
    CSV: {"schema": {"type": "string"}},
    NDJSON: {"schema": {"$ref": "#/components/schemas/Verdict"}},
}


@router.get("/challenges/{challenge:path}", responses=problems(404))
def show_challenge(services: Here, caller: Reader, project: str, challenge: str) -> Verdict:
    """The consensus on one challenge."""
    with services.engine.begin() as connection:
        found = find_project(connection, caller.tenant_id, project)
        if "\0" in challenge:
            raise NotFoundError("no challenge has NUL in its key")
        return Verdict.of(consensus.get(connection, found.id, challenge), found.classes)


@router.get("/verdicts", response_model=Page[Verdict], responses={200: {"content": _STREAMS}, **problems(404)})
def list_verdicts(
    services: Here,
    caller: Reader,
    project: str,
    accept: Annotated[str, Header(description=f"`{CSV}` and `{NDJSON}` stream everything.")] = "application/json",
    limit: Limit = 100,
    after: After = None,
) -> Page[Verdict] | Response:
    """Verdicts by challenge: a page, or all of them as a stream."""
    for media_type in (CSV, NDJSON):
        if media_type in accept.lower():
            return export_verdicts(services.exports, caller.tenant_id, project, media_type)
    with services.engine.begin() as connection:
        found = find_project(connection, caller.tenant_id, project)
        rows = consensus.page(connection, found.id, after=decode(after, ""), limit=limit + 1)
    shown, cursor = cut(rows, limit, lambda row: row.challenge)
    return Page(items=[Verdict.of(row, found.classes) for row in shown], next=cursor)
