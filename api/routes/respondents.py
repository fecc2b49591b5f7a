"""Respondents."""

from fastapi import APIRouter

from api.access import Reader
from api.cursors import After, Limit, cut, decode
from api.doors import find_project
from api.schemas.page import Page
from api.schemas.problem import problems
from api.schemas.respondent import Reliability, Respondent, confusion
from api.services import Here
from db import statistics
from db.errors import NotFoundError
from db.keys import Principal
from db.projects import ProjectRow
from db.statistics import ReliabilityRow

router = APIRouter(prefix="/v1/projects/{project}/respondents", tags=["respondents"])


@router.get("", responses=problems(404))
def list_respondents(
    services: Here, caller: Reader, project: str, limit: Limit = 100, after: After = None
) -> Page[Reliability]:
    """What is believed of a project's respondents, by key."""
    with services.engine.begin() as connection:
        found = find_project(connection, caller.tenant_id, project)
        rows = statistics.page(connection, found.id, after=decode(after, ""), limit=limit + 1)
    shown, cursor = cut(rows, limit, lambda row: row.respondent)
    return Page(items=[Reliability.of(row, told=_told(caller, found, row)) for row in shown], next=cursor)


@router.get("/{respondent:path}", responses=problems(404))
def show_respondent(services: Here, caller: Reader, project: str, respondent: str) -> Respondent:
    """What is believed of one respondent."""
    with services.engine.begin() as connection:
        found = find_project(connection, caller.tenant_id, project)
        if "\0" in respondent:
            raise NotFoundError("no respondent has NUL in its key")
        row = statistics.get(connection, found.id, respondent)
    told = _told(caller, found, row)
    shown = Respondent.of(row, told=told)
    if told and found.form == "full":
        shown.confusion = confusion(row.counts, found.classes)
    return shown


def _told(caller: Principal, project: ProjectRow, row: ReliabilityRow) -> bool:
    """Whether the caller is told the respondent's score."""
    return "gold" in caller.scopes or row.answers >= project.rules.score_answers
