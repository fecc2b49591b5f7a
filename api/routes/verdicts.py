"""Challenges and their verdicts."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from sqlalchemy import Connection

from api.access import Reader
from api.cursors import After, Limit, cut, decode
from api.doors import find_project
from api.exports import STREAMS, export
from api.formats import asked_for
from api.path_keys import PathKey
from api.schemas.challenge import Challenge
from api.schemas.page import Page
from api.schemas.problem import problems
from api.schemas.verdict import Verdict, verdict_table
from api.services import Here
from api.tables import Contents
from api.verdict_filter import Asked
from db import current_verdicts
from db.bodies import JSON
from db.current_verdicts import VerdictRow

router = APIRouter(prefix="/v1/projects/{project}", tags=["verdicts"])


@router.get("/challenges", responses=problems(404))
def list_challenges(
    services: Here, caller: Reader, project: str, asked: Asked, limit: Limit = 100, after: After = None
) -> Page[Challenge]:
    """Challenges by key, and how far each has come: which need more answers, say, by `status=open`.

    Those without a graded answer are listed for keys with the scope `gold` alone: gold is what they mostly are. With a
    filter, a page may hold fewer than `limit`, even none, though more follow: `next` tells.
    """
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        rows, end = current_verdicts.page(
            connection,
            found.id,
            after=decode(after, ""),
            limit=limit + 1,
            only=asked.among(found.classes),
            unanswered="gold" in caller.scopes,
        )
    shown, cursor = cut(rows, limit, lambda row: row.challenge, end=end)
    return Page(items=[Challenge.of(row, found.classes) for row in shown], next=cursor)


@router.get("/challenges/{challenge:path}", responses=problems(404))
def show_challenge(services: Here, caller: Reader, project: str, challenge: PathKey) -> Verdict:
    """The consensus on one challenge."""
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        return Verdict.of(current_verdicts.get(connection, found.id, challenge), found.classes)


@router.get("/verdicts", response_model=Page[Verdict], responses={200: {"content": dict(STREAMS)}, **problems(404)})
def list_verdicts(
    services: Here,
    caller: Reader,
    project: str,
    asked: Asked,
    accept: Annotated[str, Header(description="A media type other than JSON streams all of them.")] = JSON,
    limit: Limit = 100,
    after: After = None,
) -> Page[Verdict] | Response:
    """Verdicts by challenge: a page, or all of them at one moment as a file.

    With a filter, a page may hold fewer than `limit`, even none, though more follow: `next` tells.
    """

    def contents(connection: Connection) -> Contents[VerdictRow]:
        found = find_project(connection, caller.tenant_id, project)
        only, table = asked.among(found.classes), verdict_table(found.classes)
        rows = current_verdicts.count(connection, found.id, only)
        return Contents(table, rows, current_verdicts.stream(connection, found.id, only=only, chunk=table.chunk))

    if form := asked_for(accept):
        return export(services.exports, caller.tenant_id, contents, form, project)
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        only = asked.among(found.classes)
        rows, end = current_verdicts.page(connection, found.id, after=decode(after, ""), limit=limit + 1, only=only)
    shown, cursor = cut(rows, limit, lambda row: row.challenge, end=end)
    return Page(items=[Verdict.of(row, found.classes) for row in shown], next=cursor)
