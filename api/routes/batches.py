"""Batches, once they are in: `api.ingest` takes them."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy import Connection

from api.access import Reader, ReaderOrSubmitter, Submitter
from api.cursors import After, Limit, cut, decode
from api.doors import find_project, scores_told_from
from api.schemas.batch import Batch, Lane, State
from api.schemas.grade import Grade
from api.schemas.page import Page
from api.schemas.problem import problems
from api.schemas.score import Score
from api.services import Here
from db import batches, grades, scores
from db.projects import ProjectRow

router = APIRouter(prefix="/v1/projects/{project}/batches", tags=["batches"])


@router.get("", responses=problems(404))
def list_batches(
    services: Here,
    caller: Reader,
    project: str,
    state: Annotated[State | None, Query()] = None,
    lane: Annotated[Lane | None, Query()] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[Batch]:
    """A project's batches in the order they were accepted."""
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        rows = batches.page(connection, found.id, state=state, lane=lane, after=decode(after, 0), limit=limit + 1)
    shown, cursor = cut(rows, limit, lambda row: row.id)
    return Page(items=[Batch.of(row, found.name) for row in shown], next=cursor)


@router.get("/{batch}", responses=problems(404))
def show_batch(services: Here, caller: ReaderOrSubmitter, project: str, batch: uuid.UUID) -> Batch:
    """One batch."""
    with services.reading() as connection:
        return _batch(connection, find_project(connection, caller.tenant_id, project), batch)


@router.delete("/{batch}", responses=problems(404, 409))
def cancel_batch(services: Here, caller: Submitter, project: str, batch: uuid.UUID) -> Batch:
    """Cancel a batch that waits; one that is cancelled stays so."""
    with services.changing() as connection:
        found = find_project(connection, caller.tenant_id, project)
        batches.cancel(connection, found.id, batch)
        return _batch(connection, found, batch)


@router.post("/{batch}/retry", status_code=202, responses=problems(404, 409))
def retry_batch(
    services: Here,
    caller: Submitter,
    project: str,
    batch: uuid.UUID,
    response: Response,
) -> Batch:
    """Let a dead batch, or the dead answers of a graded one, wait again."""
    with services.changing() as connection:
        found = find_project(connection, caller.tenant_id, project)
        batches.retry(connection, found.id, batch)
        revived = _batch(connection, found, batch)
    services.ringer.ring(found.id, revived.lane)
    response.headers["Location"] = f"/v1/projects/{found.name}/batches/{batch}"
    return revived


@router.get("/{batch}/grades", responses=problems(404))
def list_grades(
    services: Here,
    caller: Reader,
    project: str,
    batch: uuid.UUID,
    limit: Limit = 100,
    after: After = None,
) -> Page[Grade]:
    """What became of the answers of a batch, by position; an answer that waits is not there yet."""
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        row = batches.get(connection, found.id, batch)
        rows = grades.of_batch(connection, row.id, after=decode(after, -1), limit=limit + 1)
    shown, cursor = cut(rows, limit, lambda row: row.position)
    return Page(items=[Grade.of(row, found) for row in shown], next=cursor)


@router.get("/{batch}/scores", responses=problems(404))
def list_scores(
    services: Here,
    caller: Reader,
    project: str,
    batch: uuid.UUID,
    limit: Limit = 100,
    after: After = None,
) -> Page[Score]:
    """One score for each respondent of a batch, or of a session of it, by respondent; none before it is graded."""
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        row = batches.get(connection, found.id, batch)
        rows = scores.page(connection, row.id, after=decode(after, scores.START), limit=limit + 1)
    told_from = scores_told_from(caller, found)
    shown, cursor = cut(rows, limit, lambda row: (row.respondent, row.session))
    return Page(items=[Score.of(row, told_from=told_from) for row in shown], next=cursor)


def _batch(connection: Connection, project: ProjectRow, uid: uuid.UUID) -> Batch:
    return Batch.of(batches.get(connection, project.id, uid), project.name)
