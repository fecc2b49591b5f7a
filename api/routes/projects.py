"""Projects."""

from typing import Any

from fastapi import APIRouter, Response

from api.access import Admin, Reader
from api.cursors import After, Limit, cut, decode
from api.doors import find_project
from api.problems import Fault, ProblemError
from api.schemas.page import Page
from api.schemas.problem import problems
from api.schemas.project import (
    Project,
    ProjectChange,
    ProjectCreation,
    check_bounds,
    check_costs,
    check_model,
    check_thresholds,
)
from api.services import Here
from db import projects
from db.projects import ProjectRow

router = APIRouter(prefix="/v1/projects", tags=["projects"])


@router.get("", responses=problems())
def list_projects(services: Here, caller: Reader, limit: Limit = 100, after: After = None) -> Page[Project]:
    """The tenant's projects by name."""
    with services.reading() as connection:
        rows = projects.page(connection, caller.tenant_id, after=decode(after, ""), limit=limit + 1)
    shown, cursor = cut(rows, limit, lambda row: row.name)
    return Page(items=[Project.of(row) for row in shown], next=cursor)


@router.post("", status_code=201, responses=problems(408, 409, 413))
def create_project(services: Here, caller: Admin, creation: ProjectCreation, response: Response) -> Project:
    """Make a project."""
    with services.changing() as connection:
        projects.create(connection, caller.tenant_id, creation.new())
        row = projects.get(connection, caller.tenant_id, creation.name)
    response.headers["Location"] = f"/v1/projects/{row.name}"
    return Project.of(row)


@router.get("/{project}", responses=problems(404))
def show_project(services: Here, caller: Reader, project: str) -> Project:
    """One project."""
    with services.reading() as connection:
        return Project.of(find_project(connection, caller.tenant_id, project))


@router.patch("/{project}", responses=problems(404, 408, 409, 413))
def change_project(services: Here, caller: Admin, project: str, change: ProjectChange) -> Project:
    """Change how a project grades from now on; grades that were given stay, their outcomes follow the thresholds."""
    changes = change.model_dump(exclude_none=True)
    with services.changing() as connection:
        present = find_project(connection, caller.tenant_id, project)
        try:
            _check(present, changes)
        except ValueError as error:
            field, _, _ = str(error).partition(":")
            raise ProblemError(422, "The request is not valid.", [Fault(f"/{field}", str(error))]) from None
        if changes.get("cost_matrix") == {}:
            changes["cost_matrix"] = None
        projects.change(connection, caller.tenant_id, project, changes)
        return Project.of(projects.get(connection, caller.tenant_id, project))


def _check(present: ProjectRow, changes: dict[str, Any]) -> None:
    """Raise ValueError, its text beginning with the field, unless the project is consistent with these changes."""
    check_thresholds(
        changes.get("fail_threshold", present.fail_threshold), changes.get("pass_threshold", present.pass_threshold)
    )
    check_bounds(
        changes.get("min_answers", present.rules.min_answers), changes.get("max_answers", present.rules.max_answers)
    )
    check_costs(changes.get("cost_matrix"), present.classes)
    check_model(changes.get("model", present.model), len(present.classes) or present.max_classes)
