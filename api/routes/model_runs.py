"""Model runs."""

import uuid

from fastapi import APIRouter, Response

from api.access import Admin, Reader
from api.cursors import After, Limit, cut, decode
from api.doors import find_project
from api.schemas.model_run import ModelRun
from api.schemas.page import Page
from api.schemas.problem import problems
from api.services import Here
from db import runs

router = APIRouter(prefix="/v1/projects/{project}/model-runs", tags=["model runs"])


@router.post("", status_code=202, responses=problems(404))
def request_model_run(services: Here, caller: Admin, project: str, response: Response) -> ModelRun:
    """Ask for a refit; when one waits already, that is the answer."""
    with services.changing() as connection:
        found = find_project(connection, caller.tenant_id, project)
        uid = runs.request(connection, found.id, "requested")
        row = runs.get(connection, found.id, uid)
    services.ringer.ring_refit(found.id)
    response.headers["Location"] = f"/v1/projects/{found.name}/model-runs/{uid}"
    return ModelRun.of(row, found.name)


@router.get("", responses=problems(404))
def list_model_runs(
    services: Here, caller: Reader, project: str, limit: Limit = 100, after: After = None
) -> Page[ModelRun]:
    """A project's model runs in the order they were asked for."""
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        rows = runs.page(connection, found.id, after=decode(after, 0), limit=limit + 1)
    shown, cursor = cut(rows, limit, lambda row: row.id)
    return Page(items=[ModelRun.of(row, found.name) for row in shown], next=cursor)


@router.get("/{run}", responses=problems(404))
def show_model_run(services: Here, caller: Reader, project: str, run: uuid.UUID) -> ModelRun:
    """One model run."""
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        return ModelRun.of(runs.get(connection, found.id, run), found.name)
