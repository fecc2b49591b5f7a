"""Groups of respondents who may share what they know of gold."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api import group_body
from api.access import Gilder
from api.cursors import After, Limit, cut, decode
from api.doors import find_project
from api.path_keys import PathKey, require_usable
from api.schemas.group import Group, GroupMembers
from api.schemas.page import Page
from api.schemas.problem import problems
from api.services import Here
from db import groups, identities
from db.groups import GroupRow

router = APIRouter(prefix="/v1/projects/{project}/groups", tags=["gold"])


@router.get("", responses=problems(404))
def list_groups(
    services: Here,
    caller: Gilder,
    project: str,
    odds: Annotated[float, Query(ge=0, allow_inf_nan=False, description="The least odds.")] = 0.0,
    limit: Limit = 100,
    after: After = None,
) -> Page[Group]:
    """Groups of respondents by name, with the odds that each shares gold's answers, as of the last refit."""
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        rows = groups.page(connection, found.id, odds=odds, after=decode(after, ""), limit=limit + 1)
    shown, cursor = cut(rows, limit, lambda row: row.name)
    return Page(items=[_shown(row) for row in shown], next=cursor)


@router.put("/{group:path}", responses=problems(404, 408, 413, 415), openapi_extra=group_body.REQUEST)
def put_group(
    services: Here, caller: Gilder, project: str, group: str, members: Annotated[GroupMembers, Depends(group_body.read)]
) -> Group:
    """Let a group, known or not yet, be these respondents and no others, met or not; each leaves its group before."""
    require_usable(group, "group")
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
    with services.changing() as connection:
        ids = identities.respondents(connection, found.id, members.respondents)
    with services.changing() as connection:
        return _shown(groups.put(connection, found.id, group, list(ids.values())))


@router.delete("/{group:path}", responses=problems(404))
def drop_group(services: Here, caller: Gilder, project: str, group: PathKey) -> Group:
    """Forget a group; the reply shows it as it was."""
    with services.changing() as connection:
        found = find_project(connection, caller.tenant_id, project)
        return _shown(groups.drop(connection, found.id, group))


def _shown(row: GroupRow) -> Group:
    return Group(group=row.name, respondents=row.respondents, odds=row.odds)
