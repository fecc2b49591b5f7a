"""Replies of any length in memory that does not grow with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import anyio
from anyio import CapacityLimiter, to_thread
from sqlalchemy import Connection, Engine
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from api.formats import FORMATS, Format
from api.problems import unavailable
from api.tables import ROWS, Contents, Row
from db import transactions

STALL = 30.0
"""Seconds a client may take over one piece: it holds a connection and a snapshot meanwhile."""
LIMIT = 3600.0
"""Seconds a whole reply may take, be its client slow or not: Postgres clears up nothing that its snapshot may see."""
PATIENCE = 5.0
"""Seconds that an export waits for others to end."""
REFUSAL = "Too many exports run here now. Come again when one has ended."

STREAMS: Mapping[str, Any] = {form.media_type: {"schema": {"type": "string"}} for form in FORMATS}
"""What an export may be, as OpenAPI says it."""


class Exports:
    """Who exports in this process: as many as there are connections for it, and no tenant with more than half of them.

    Args:
        engine: a pool of its own: a slow reader cannot take the connections that others need.
        connections: that the pool has.
    """

    def __init__(self, engine: Engine, connections: int) -> None:
        self.engine = engine
        self.threads = CapacityLimiter(connections)
        """In which they begin and end: who waits for one of all requests' holds what he has meanwhile."""
        self._places = asyncio.Semaphore(connections)
        self._of_tenant = max(1, connections // 2)
        self._tenants: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def place(self, tenant_id: int) -> AsyncIterator[None]:
        """Take a place inside the block, when there is one.

        Raises:
            ProblemError: 503: there was none for too long.
        """
        own = self._tenants.setdefault(tenant_id, asyncio.Semaphore(self._of_tenant))
        async with AsyncExitStack() as taken:
            try:
                async with asyncio.timeout(PATIENCE):
                    await taken.enter_async_context(own)
                    await taken.enter_async_context(self._places)
            except TimeoutError:
                raise unavailable(REFUSAL) from None
            yield


class Export(Response):
    """Streams what a thread begins and makes, and gives back what it is made from however the exchange ends."""

    def __init__(self, exports: Exports, tenant_id: int, begin: Callable[[ExitStack], StreamingResponse]) -> None:
        super().__init__()
        self._exports = exports
        self._tenant_id = tenant_id
        self._begin = begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def in_time(message: Message) -> None:
            with anyio.fail_after(STALL):
                await send(message)

        held = ExitStack()
        async with self._exports.place(self._tenant_id):
            try:
                reply = await to_thread.run_sync(self._begin, held, limiter=self._exports.threads)
                with anyio.fail_after(LIMIT):
                    await reply(scope, receive, in_time)
            finally:
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(held.close, limiter=self._exports.threads)


def export(
    exports: Exports, tenant_id: int, find: Callable[[Connection], Contents[Row]], form: Format, name: str
) -> Export:
    """A file `name` of what is found, all of it at one moment. What `find` raises is raised before the reply begins."""
    return Export(exports, tenant_id, partial(_begin, exports.engine, find, form, name))


def _begin(
    engine: Engine, find: Callable[[Connection], Contents[Row]], form: Format, name: str, held: ExitStack
) -> StreamingResponse:
    connection = held.enter_context(engine.connect()).execution_options(isolation_level="REPEATABLE READ")
    held.enter_context(connection.begin())
    # Postgres ends it when this process stands still, or when it is a statement that does not end.
    transactions.adopt(connection, transactions.bounds(idle=2 * STALL), transactions.whole(connection, LIMIT + STALL))
    found = find(connection)
    chunks = held.enter_context(closing(found.chunks))
    pieces = held.enter_context(closing(form.write(found.table, chunks)))
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form.extension}"', ROWS: str(found.rows)}
    return StreamingResponse(pieces, headers=headers, media_type=form.media_type)
