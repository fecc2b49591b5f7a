"""Respondents who seem to know gold's answers from elsewhere."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.access import Gilder
from api.cursors import After, Limit, cut, decode
from api.doors import find_project
from api.schemas.gold_holder import GoldHolder
from api.schemas.page import Page
from api.schemas.problem import problems
from api.services import Here
from db import gold_holders

router = APIRouter(prefix="/v1/projects/{project}/gold-holders", tags=["gold"])


@router.get("", responses=problems(404))
def list_gold_holders(
    services: Here,
    caller: Gilder,
    project: str,
    odds: Annotated[
        float | None,
        Query(ge=0, allow_inf_nan=False, description="The least odds; the project's `leaked_gold_odds` by default."),
    ] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[GoldHolder]:
    """Respondents who do better on gold than their other answers explain, the surest first, as of the last refit.

    Nobody with odds below 0.1 is listed.
    """
    place = None if after is None else decode(after, (0.0, 0))
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        least = found.rules.leaked_gold_odds if odds is None else odds
        rows = gold_holders.page(connection, found.id, odds=least, after=place, limit=limit + 1)
    shown, cursor = cut(rows, limit, lambda row: (row.odds, row.id))
    return Page(items=[GoldHolder(respondent=row.respondent, odds=row.odds) for row in shown], next=cursor)
