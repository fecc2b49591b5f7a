"""The change feed."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from api.access import Reader, StillReader
from api.cursors import After, Limit, decode, encode
from api.doors import find_project
from api.event_stream import EventStream
from api.problems import ProblemError
from api.schemas.event import Event, Events
from api.schemas.problem import problems
from api.services import Here
from db import events, history

router = APIRouter(prefix="/v1/projects/{project}", tags=["events"])

SSE = "text/event-stream"
_STREAM: dict[str, Any] = {SSE: {"schema": {"type": "string"}}}

LastEventId = Annotated[str | None, Header(description="A stream goes on behind this event; stronger than `after`.")]


@router.get("/events", response_model=Events, responses={200: {"content": _STREAM}, **problems(404, 410)})
def list_events(
    services: Here,
    caller: Reader,
    still_reader: StillReader,
    project: str,
    accept: Annotated[str, Header(description=f"`{SSE}` sends events as they come.")] = "application/json",
    last_event_id: LastEventId = None,
    limit: Limit = 100,
    after: After = None,
) -> Events | Response:
    """Every visible change of a verdict, in an order that never changes, without gaps: a page or an endless stream.

    Without a cursor it begins with the oldest event that is kept.
    """
    streaming = SSE in accept.lower()
    cursor = last_event_id or after if streaming else after
    position = decode(cursor, 0)

    def read(behind: int, most: int) -> tuple[int, Sequence[Event]]:
        with services.reading() as connection:
            found = find_project(connection, caller.tenant_id, project)
            rows = events.page(connection, found.id, after=behind, limit=most)
            if (cursor or behind) and rows and rows[0].position > behind + 1:
                raise _gone(history.begins_behind(connection, found.id))
        return found.id, [Event.of(row, found.classes) for row in rows]

    project_id, items = read(position, 1 if streaming else limit)
    if streaming:
        return EventStream(
            services.feeds,
            caller.tenant_id,
            project_id,
            position,
            read=lambda behind, most: read(behind, most)[1],
            admitted=still_reader,
        )
    return Events(items=list(items), next=items[-1].cursor if items else after or encode(position))


def _gone(oldest: int) -> ProblemError:
    return ProblemError(
        410, "What followed this cursor is no longer kept: read the verdicts, then go on.", oldest=encode(oldest)
    )
