"""The members of a group: a body as large as a list of gold, and looked over where nobody else waits for it."""

import json
from typing import Any

from anyio import to_thread
from fastapi import Request
from pydantic import ValidationError

from api.body import Inbox, media_type
from api.json_walk import MisshapenError, elements
from api.problems import Fault, ProblemError, faults, refusal
from api.schemas.group import MOST, GroupMembers
from db.bodies import JSON

REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/GroupMembers"}}},
    }
}
"""How the OpenAPI document describes such a body."""

_DECODER = json.JSONDecoder()


async def read(request: Request) -> GroupMembers:
    """The members that a request's body names.

    Raises:
        ProblemError: it is no such body, or names too many; each fault is named by its pointer.
    """
    if media_type(request.headers.get("content-type")) != JSON:
        raise ProblemError(415, f"The body must be {JSON}.", headers={"Accept": JSON})
    inbox: Inbox = request.app.state.inbox
    return await to_thread.run_sync(_members, await request.body(), limiter=inbox.lookers)


def _members(body: bytes) -> GroupMembers:
    try:
        return GroupMembers(respondents=elements(body, "respondents", _DECODER, _count))
    except MisshapenError as error:
        raise _refused([Fault(error.pointer, error.detail)]) from None
    except ValidationError as error:
        raise _refused(faults(error, "body")) from None


def _count(members: int) -> None:
    if members > MOST:
        raise MisshapenError(f"has more than {MOST:,} respondents", "/respondents")


def _refused(wrong: list[Fault]) -> ProblemError:
    return refusal("The group is not valid; nothing was stored.", wrong)
