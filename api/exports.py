"""Replies of any length in memory that does not grow with it."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from typing import Any

import anyio
from anyio import to_thread
from sqlalchemy import Connection, Engine
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from api.formats import FORMATS, Format, Pieces
from api.tables import ROWS, Contents, Row

STALL = 30.0
"""Seconds a client may take over one piece: it holds a connection and a snapshot meanwhile."""

STREAMS: Mapping[str, Any] = {form.media_type: {"schema": {"type": "string"}} for form in FORMATS}
"""What an export may be, as OpenAPI says it."""


class Export(StreamingResponse):
    """Streams pieces that a thread makes, and gives back what they are made from however the exchange ends."""

    def __init__(self, pieces: Pieces, held: ExitStack, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(pieces, headers=headers, media_type=media_type)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def in_time(message: Message) -> None:
            with anyio.fail_after(STALL):
                await send(message)

        try:
            await super().__call__(scope, receive, in_time)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._held.close)


def export(engine: Engine, find: Callable[[Connection], Contents[Row]], form: Format, name: str) -> Export:
    """A file `name` of what is found, all of it at one moment. What `find` raises is raised before the reply begins."""
    with ExitStack() as stack:
        connection = stack.enter_context(engine.connect()).execution_options(isolation_level="REPEATABLE READ")
        stack.enter_context(connection.begin())
        found = find(connection)
        chunks = stack.enter_context(closing(found.chunks))
        pieces = stack.enter_context(closing(form.write(found.table, chunks)))
        headers = {"Content-Disposition": f'attachment; filename="{name}.{form.extension}"', ROWS: str(found.rows)}
        return Export(pieces, stack.pop_all(), form.media_type, headers)
    raise AssertionError("unreachable")
