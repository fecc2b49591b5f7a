"""The change feed as Server-Sent Events: FastAPI's wire format, our own way of waiting.

FastAPI streams a route that is a generator; this route also answers with pages, counts its streams, and asks again who
is listening. That is little enough to need no library of its own.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

import anyio
from anyio import to_thread
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Message, Receive, Scope, Send

from api.feeds import Feeds
from api.problems import ProblemError
from api.schemas.event import Event
from telemetry import logging

log = logging.get(__name__)

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent: proxies keep the stream open, and a lost client is noticed."""
PAGE = 500
RETRY_MS = 1000
"""When a client whose stream has ended is to come back."""
STALL = 30.0
"""Seconds a client may take over one page."""

Read = Callable[[int, int], Sequence[Event]]
Admit = Callable[[], Awaitable[object]]


class EventStream(EventSourceResponse):
    """Every event behind a position, then each as it comes, until the client leaves or the process ends.

    Args:
        read: the events behind a position, at most so many; runs in a thread.
        admitted: raises ProblemError once the caller's key is no longer valid; asked before every read.
    """

    def __init__(
        self, feeds: Feeds, tenant_id: int, project_id: int, position: int, *, read: Read, admitted: Admit
    ) -> None:
        super().__init__(
            _follow(feeds, project_id, position, read, admitted),
            # nginx would collect events before it passes them on
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )
        self._feeds = feeds
        self._tenant_id = tenant_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def in_time(message: Message) -> None:
            with anyio.fail_after(STALL):
                await send(message)

        with self._feeds.stream(self._tenant_id):
            await super().__call__(scope, receive, in_time)


async def _follow(
    feeds: Feeds, project_id: int, position: int, read: Read, admitted: Admit
) -> AsyncGenerator[bytes, None]:
    yield format_sse_event(retry=RETRY_MS)
    try:
        while not feeds.closed:
            await admitted()
            found = await to_thread.run_sync(read, position, PAGE, limiter=feeds.readers)
            if found:
                position = found[-1].position
                yield b"".join(map(_wire, found))
            if len(found) < PAGE and not await feeds.grown(project_id, position, HEARTBEAT):
                yield KEEPALIVE_COMMENT
    except (ProblemError, SQLAlchemyError) as error:
        log.info("stream ended", project=project_id, reason=type(error).__name__)  # the client comes back and is told


def _wire(event: Event) -> bytes:
    return format_sse_event(id=event.cursor, event=event.kind, data_str=event.model_dump_json())
