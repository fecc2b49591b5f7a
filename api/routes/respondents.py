"""Respondents."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Response
from sqlalchemy import Connection

from api.access import Reader
from api.cursors import After, Limit, cut, decode
from api.doors import find_project, scores_told_from
from api.exports import STREAMS, export
from api.formats import asked_for
from api.path_keys import PathKey
from api.respondent_filter import Asked
from api.schemas.page import Page
from api.schemas.problem import problems
from api.schemas.respondent import Reliability, Respondent, confusion, respondent_table
from api.services import Here
from api.tables import Contents
from db import reliabilities
from db.bodies import JSON
from db.reliabilities import ReliabilityFilter, ReliabilityRow

router = APIRouter(prefix="/v1/projects/{project}/respondents", tags=["respondents"])


@router.get("", response_model=Page[Reliability], responses={200: {"content": dict(STREAMS)}, **problems(404)})
def list_respondents(
    services: Here,
    caller: Reader,
    project: str,
    asked: Asked,
    accept: Annotated[str, Header(description="A media type other than JSON streams all of them.")] = JSON,
    limit: Limit = 100,
    after: After = None,
) -> Page[Reliability] | Response:
    """What is believed of a project's respondents: a page, or all of them at one moment as a file.

    By key and with a filter, a page may hold fewer than `limit`, even none, though more follow: `next` tells.
    """

    def contents(connection: Connection) -> Contents[ReliabilityRow]:
        found = find_project(connection, caller.tenant_id, project)
        told_from = scores_told_from(caller, found)
        only, table = asked.told(told_from), respondent_table(told_from)
        rows = reliabilities.count(connection, found.id, asked.order, only)
        stream = reliabilities.stream(connection, found.id, asked.order, only=only, chunk=table.chunk)
        return Contents(table, rows, stream)

    if form := asked_for(accept):
        return export(services.exports, caller.tenant_id, contents, form, f"{project}-respondents")
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        told_from = scores_told_from(caller, found)
        rows, cursor = _page(connection, found.id, asked, asked.told(told_from), after, limit)
    return Page(items=[Reliability.of(row, told_from=told_from) for row in rows], next=cursor)


@router.get("/{respondent:path}", responses=problems(404))
def show_respondent(services: Here, caller: Reader, project: str, respondent: PathKey) -> Respondent:
    """What is believed of one respondent."""
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        row, counts = reliabilities.get(connection, found.id, respondent)
    told_from = scores_told_from(caller, found)
    shown = Respondent.of(row, told_from=told_from)
    if row.answers >= told_from and found.form == "full":
        shown.confusion = confusion(counts, found.classes)
    return shown


def _page(
    connection: Connection, project_id: int, asked: Asked, only: ReliabilityFilter, after: str | None, limit: int
) -> tuple[Sequence[ReliabilityRow], str | None]:
    if asked.order == "key":
        rows, end = reliabilities.page(connection, project_id, after=decode(after, ""), limit=limit + 1, only=only)
        return cut(rows, limit, lambda row: row.respondent, end=end)
    place = None if after is None else decode(after, (0.0, 0))
    rows = reliabilities.ranked(connection, project_id, asked.order, after=place, limit=limit + 1, only=only)
    return cut(rows, limit, asked.place)
