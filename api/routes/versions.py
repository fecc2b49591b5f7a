"""Versions of verdicts. A challenge's key ends the path, because it may hold slashes."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.access import Reader
from api.cursors import After, Limit, cut, decode
from api.doors import find_project
from api.path_keys import PathKey
from api.schemas.page import Page
from api.schemas.problem import problems
from api.schemas.version import Version
from api.services import Here
from db import versions

router = APIRouter(prefix="/v1/projects/{project}", tags=["verdicts"])


@router.get("/versions/{challenge:path}", responses=problems(404))
def list_versions(
    services: Here, caller: Reader, project: str, challenge: PathKey, limit: Limit = 100, after: After = None
) -> Page[Version]:
    """The versions of the verdict on one challenge, newest last.

    A challenge without a graded answer is there for keys with the scope `gold` alone: gold is what it mostly is.
    """
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        rows = versions.page(
            connection,
            found.id,
            challenge,
            after=decode(after, 0),
            limit=limit + 1,
            unanswered="gold" in caller.scopes,
        )
    shown, cursor = cut(rows, limit, lambda row: row.version)
    return Page(items=[Version.of(row, found.classes) for row in shown], next=cursor)


@router.get("/verdicts/{version}/{challenge:path}", responses=problems(404))
def show_version(
    services: Here, caller: Reader, project: str, version: Annotated[int, Path(ge=1, le=2**31 - 1)], challenge: PathKey
) -> Version:
    """The verdict on one challenge as it was published then."""
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        return Version.of(versions.get(connection, found.id, challenge, version), found.classes)
