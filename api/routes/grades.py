"""Grades of a whole project; those of one batch are with the batch."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from sqlalchemy import Connection

from api.access import Reader
from api.cursors import After, Limit, cut, decode
from api.doors import find_project
from api.exports import STREAMS, export
from api.formats import asked_for
from api.schemas.grade import GivenGrade, grade_table
from api.schemas.page import Page
from api.schemas.problem import problems
from api.services import Here
from api.tables import Contents
from api.verdict_filter import Moment
from db import grades
from db.bodies import JSON
from db.grades import GradeFilter, GradeRow

router = APIRouter(prefix="/v1/projects/{project}/grades", tags=["batches"])

Accepted = Annotated[Moment | None, Query(description="When the batch was accepted; UTC where it names no zone.")]


@router.get("", response_model=Page[GivenGrade], responses={200: {"content": dict(STREAMS)}, **problems(404)})
def list_project_grades(
    services: Here,
    caller: Reader,
    project: str,
    accept: Annotated[str, Header(description="A media type other than JSON streams all of them.")] = JSON,
    accepted_after: Accepted = None,
    accepted_before: Accepted = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[GivenGrade] | Response:
    """What became of a project's answers, as they were accepted: a page, or all of them at one moment as a file.

    Each with the grade that it was given and the grade under today's consensus; an answer that waits is not there yet.
    """
    only = GradeFilter(accepted_after, accepted_before)

    def contents(connection: Connection) -> Contents[GradeRow]:
        found = find_project(connection, caller.tenant_id, project)
        table = grade_table(found)
        rows = grades.count(connection, found.id, only)
        return Contents(table, rows, grades.stream(connection, found.id, only=only, chunk=table.chunk))

    if form := asked_for(accept):
        return export(services.exports, caller.tenant_id, contents, form, f"{project}-grades")
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        rows = grades.page(connection, found.id, after=decode(after, grades.START), limit=limit + 1, only=only)
    shown, cursor = cut(rows, limit, lambda row: (row.batch_id, row.position))
    return Page(items=[GivenGrade.of(row, found) for row in shown], next=cursor)
