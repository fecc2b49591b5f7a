"""The bytes of a request: what they claim to be, and what is in them, never more than the limit."""

import asyncio
import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from anyio import CapacityLimiter
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from api.problems import ProblemError, unavailable
from api.room import Room
from db.bodies import JSON, NDJSON

_GZIP = 16 + zlib.MAX_WBITS
ARRIVAL = 30.0
"""Seconds in which a body must have come."""
ROOM = 256 * 2**20
"""Bytes of all bodies that one process is receiving or looking over."""
_MEMBERS = 256
"""Parts of a gzipped body, at most: each costs a copy of what follows it."""


def too_large(limit: int) -> ProblemError:
    """The refusal of a body beyond the limit."""
    return ProblemError(413, f"The body is larger than {limit:,} bytes.")


class Inbox:
    """What all bodies together may take while they come in and are looked over, in one event loop."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = Room(room)
        self.lookers = CapacityLimiter(2)
        """Threads that look bodies over: more would only take the processor and memory from one another."""

    @contextmanager
    def receiving(self, tenant_id: int) -> Iterator[Callable[[int], None]]:
        """Inside the block there is room for a tenant's body; to be called with each number of bytes that has come.

        Raises:
            ProblemError: 503, there is no room for them.
        """
        taken = 0

        def take(count: int) -> None:
            nonlocal taken
            if not self._room.take(tenant_id, count):
                raise unavailable("More is being posted than can be received.")
            taken += count

        try:
            yield take
        finally:
            self._room.give_back(tenant_id, taken)


async def read(scope: Scope, receive: Receive, limit: int, take: Callable[[int], None]) -> bytes:
    """The whole body.

    Args:
        take: as of `Inbox.receiving`.

    Raises:
        ProblemError: it is larger than `limit` bytes; at once when the request says so. It took more than `ARRIVAL`.
        ClientDisconnect: the client left before its end.
    """
    if _declared(scope) > limit:
        raise too_large(limit)
    try:
        async with asyncio.timeout(ARRIVAL):
            return await _received(receive, limit, take)
    except TimeoutError:
        raise ProblemError(408, f"The body did not come within {ARRIVAL:.0f} seconds.") from None


async def _received(receive: Receive, limit: int, take: Callable[[int], None]) -> bytes:
    parts: list[bytes] = []
    received = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        take(len(parts[-1]))
        received += len(parts[-1])
        if received > limit:
            raise too_large(limit)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _declared(scope: Scope) -> float:
    """Bytes that the request says its body has; 0 when it does not say."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else math.inf
    return 0


def media_type(content_type: str | None) -> str:
    """The media type of a body of answers.

    Raises:
        ProblemError: it is another one.
    """
    kind, *parameters = [part.strip().lower() for part in (content_type or "").split(";")]
    charsets = [value.strip('"') for name, _, value in (p.partition("=") for p in parameters) if name == "charset"]
    if kind not in {JSON, NDJSON} or charsets not in ([], ["utf-8"]):
        raise ProblemError(
            415, f"The body must be {JSON} or {NDJSON}, in UTF-8.", headers={"Accept": f"{JSON}, {NDJSON}"}
        )
    return kind


def compressed(content_encoding: str | None) -> bool:
    """Whether a body is gzipped.

    Raises:
        ProblemError: it is encoded in another way.
    """
    encoding = (content_encoding or "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise ProblemError(415, "The body may be sent as it is or gzipped.", headers={"Accept-Encoding": "gzip"})
    return encoding != "identity"


def inflate(body: bytes, limit: int) -> bytes:
    """What was gzipped; members that follow one another are joined, as gzip does.

    Raises:
        ProblemError: it is not gzip, it is cut short, or it inflates to more than `limit` bytes.
    """
    parts: list[bytes] = []
    room = limit + 1
    while body:
        if len(parts) == _MEMBERS:
            raise ProblemError(422, f"The gzipped body has more than {_MEMBERS} members.")
        member = zlib.decompressobj(_GZIP)
        try:
            parts.append(member.decompress(body, room))
        except zlib.error:
            raise ProblemError(422, "The body is not valid gzip.") from None
        room -= len(parts[-1])
        if room <= 0:
            raise too_large(limit)
        if not member.eof:
            raise ProblemError(422, "The gzipped body is cut short.")
        body = member.unused_data
    return b"".join(parts)
