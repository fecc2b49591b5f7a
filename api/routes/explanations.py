"""Why verdicts are what they are: the fleet is asked, as no model is loaded here."""

from anyio import to_thread
from fastapi import APIRouter
from pydantic import TypeAdapter

from api.access import Reader
from api.doors import find_project
from api.path_keys import PathKey
from api.routes.verdicts import show_challenge
from api.schemas.explanation import Explanation
from api.schemas.problem import problems
from api.schemas.verdict import Verdict
from api.services import Here, Services
from db import explanations
from db.errors import NotFoundError

router = APIRouter(prefix="/v1/projects/{project}", tags=["verdicts"])

_REPLY: TypeAdapter[Explanation | None] = TypeAdapter(Explanation | None)


@router.get("/explanations/{challenge:path}", responses=problems(404))
async def show_explanation(services: Here, caller: Reader, project: str, challenge: PathKey) -> Explanation:
    """What the verdict on a challenge is made of, and what it would take to change it."""
    project_id, challenge_id = await to_thread.run_sync(_find, services, caller.tenant_id, project, challenge)
    gold = "gold" in caller.scopes
    document = await services.questions.explain(caller.tenant_id, project_id, challenge_id, gold=gold)
    explanation = _REPLY.validate_json(document)
    if explanation is None:
        raise NotFoundError(f"no answer to a challenge {challenge!r} is graded")
    return explanation


@router.get("/challenges/{challenge:path}/explain", responses=problems(404))
async def explain_challenge(services: Here, caller: Reader, project: str, challenge: PathKey) -> Explanation | Verdict:
    """As `explanations`; but if there is a verdict on a challenge whose own key ends in `/explain`, that verdict."""
    try:
        return await to_thread.run_sync(show_challenge, services, caller, project, f"{challenge}/explain")
    except NotFoundError:
        return await show_explanation(services, caller, project, challenge)


def _find(services: Services, tenant_id: int, project: str, challenge: str) -> tuple[int, int]:
    with services.reading() as connection:
        found = find_project(connection, tenant_id, project)
        return found.id, explanations.find(connection, found.id, challenge)
