"""Gold. Nothing outside these routes tells it from other challenges."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy import Connection

from api import gold_body
from api.access import Gilder
from api.cursors import After, Limit, cut, decode
from api.doors import find_project, listed, no_class
from api.path_keys import PathKey, require_usable
from api.problems import Fault
from api.schemas.gold import Gold, GoldAnswer, GoldChange, GoldItem, GoldReply, State
from api.schemas.page import Page
from api.schemas.problem import problems
from api.services import Here, Services
from db import gold, identities, projects
from db.projects import ProjectRow

router = APIRouter(prefix="/v1/projects/{project}/gold", tags=["gold"])


async def _rows(request: Request, services: Here) -> list[GoldItem]:
    return await gold_body.read(request, services.settings)


@router.get("", responses=problems(404))
def list_gold(
    services: Here,
    caller: Gilder,
    project: str,
    state: Annotated[State | None, Query()] = None,
    flagged: Annotated[bool | None, Query(description="Only what has flags, or only what has none.")] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[Gold]:
    """A project's gold in the order in which its challenges were first met."""
    with services.reading() as connection:
        found = find_project(connection, caller.tenant_id, project)
        rows = gold.page(
            connection,
            found.id,
            state=state,
            flagged=flagged,
            bad=found.rules.bad_gold_odds,
            leaked=found.rules.leaked_gold_odds,
            after=decode(after, 0),
            limit=limit + 1,
        )
    shown, cursor = cut(rows, limit, lambda row: row.challenge_id)
    return Page(items=[Gold.of(row, found) for row in shown], next=cursor)


@router.post("", responses=problems(404, 408, 413, 415), openapi_extra=gold_body.REQUEST)
def put_gold(
    services: Here, caller: Gilder, project: str, items: Annotated[list[GoldItem], Depends(_rows)]
) -> GoldReply:
    """Make challenges gold, known or not yet, or give gold another answer; it is active then. Repeating it is harmless.

    A wrong row is named by its JSON pointer, in NDJSON by its line counted from 0; nothing is stored then.
    """
    return _put(services, caller.tenant_id, project, {f"/{index}": item for index, item in enumerate(items)})


@router.get("/{challenge:path}", responses=problems(404))
def show_gold(services: Here, caller: Gilder, project: str, challenge: PathKey) -> Gold:
    """One gold challenge."""
    with services.reading() as connection:
        return _shown(connection, find_project(connection, caller.tenant_id, project), challenge)


@router.put("/{challenge:path}", responses=problems(404, 408, 413))
def put_one_gold(services: Here, caller: Gilder, project: str, challenge: str, answer: GoldAnswer) -> Gold:
    """Make one challenge gold, or give it another answer; it is active then."""
    require_usable(challenge, "challenge")
    _put(services, caller.tenant_id, project, {"": GoldItem(challenge=challenge, **answer.model_dump())})
    return show_gold(services, caller, project, challenge)


@router.patch("/{challenge:path}", responses=problems(404, 408, 409, 413))
def change_gold(services: Here, caller: Gilder, project: str, challenge: PathKey, change: GoldChange) -> Gold:
    """Dispute, retire or reinstate gold; what is retired cannot be disputed."""
    with services.changing() as connection:
        found = find_project(connection, caller.tenant_id, project)
        _shown(connection, found, challenge)
        gold.change(connection, found.id, challenge, change.state, change.note)
        shown = _shown(connection, found, challenge)
    services.ringer.ring_regrade(found.id)
    return shown


@router.delete("/{challenge:path}", responses=problems(404))
def retire_gold(services: Here, caller: Gilder, project: str, challenge: PathKey) -> Gold:
    """Retire gold: from now on it is graded like any challenge. It stays listed as retired."""
    return change_gold(services, caller, project, challenge, GoldChange(state="retired"))


def _put(services: Services, tenant_id: int, project: str, items: Mapping[str, GoldItem]) -> GoldReply:
    """Put gold; items by their JSON pointers."""
    with services.changing() as connection:
        found = find_project(connection, tenant_id, project)
        codes = _codes(connection, found, items)
    answers = {item.challenge: item for item in items.values()}
    with services.changing() as connection:
        ids = identities.challenges(connection, found.id, list(answers))
    with services.changing() as connection:
        done = gold.put(
            connection,
            found.id,
            [ids[challenge] for challenge in answers],
            [codes[item.answer] for item in answers.values()],
            [item.note for item in answers.values()],
        )
    services.ringer.ring_regrade(found.id)
    return GoldReply(added=done.added, changed=done.changed, unchanged=done.unchanged)


def _codes(connection: Connection, project: ProjectRow, items: Mapping[str, GoldItem]) -> dict[str, int]:
    """Codes by class; an open project learns classes from its gold as from answers.

    Raises:
        ProblemError: some of the items are of no class.
    """
    classes: Sequence[str] = project.classes
    new = {item.answer for item in items.values()} - set(classes)
    if new and project.classes_open and len(classes) + len(new) <= project.max_classes:
        classes = projects.append_classes(connection, project.id, sorted(new))
    codes = {key: code for code, key in enumerate(classes)}
    faults = [
        Fault(f"{pointer}/answer", no_class(item.answer, listed(classes)))
        for pointer, item in items.items()
        if item.answer not in codes
    ]
    if faults:
        raise gold_body.refused(faults)
    return codes


def _shown(connection: Connection, project: ProjectRow, challenge: str) -> Gold:
    return Gold.of(gold.get(connection, project.id, challenge), project)
