"""The server's side of a client's connection: until a request's head is complete nobody knows whose it is.

uvicorn waits for a head for ever and keeps whatever comes of it. Here it has bounded time and size, and so has the
number of connections. What a request has behind its head is bounded where it is read (`api.body`).

A reply may be read slowly (how slowly an export may be, `api.exports` says), but not left lying: else whoever asks for
much and reads nothing would keep a connection, and what waits to be sent, until his end of it is gone.
"""

import asyncio
import logging
import math
import resource
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.problems import ProblemError, respond

ARRIVAL = 30.0
"""Seconds in which a head must have come, from its first byte; on a new connection from its beginning."""
HEAD = 64 * 1024
"""Bytes of a head that comes in pieces, at most: the first of them is not counted."""
UNREAD = 120.0
"""Seconds in which a client must make room for more of its reply, where the system can tell (Linux)."""
_OURS = 256
"""Files that a process may have open besides connections, about."""

_log = logging.getLogger("uvicorn.connection")
_log.setLevel(logging.ERROR)  # a line for each request that is no HTTP would let strangers fill the disk


def most() -> float:
    """Connections that a process has at a time, by how many files it may have open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if files == resource.RLIM_INFINITY else max(_OURS, files - _OURS)


class Connection(HttpToolsProtocol):
    """uvicorn's protocol within bounds."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.logger = _log
        self._began = False
        """Whether some of a head has come, but not all."""
        self._came = 0
        """Bytes of it."""
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        super().connection_made(transport)
        if len(self.connections) > most():
            transport.abort()
            return
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # be the window shut or nobody there any more: tcp(7)
            own = transport.get_extra_info("socket")
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * UNREAD))
        self._await_head()

    def data_received(self, data: bytes) -> None:
        began = self._began
        super().data_received(data)
        if self.transport.is_closing():
            return
        if began and self._began:
            self._came += len(data)
            if self._came > HEAD:
                self._refuse(ProblemError(431, f"The request's head is larger than {HEAD:,} bytes."))
        if self._limit is None and (self._began or self._idle):
            self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._began, self._came = True, 0

    def on_headers_complete(self) -> None:
        self._began = False
        self._await_no_more()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_no_more()
        super().connection_lost(exc)

    @property
    def _idle(self) -> bool:
        """Whether no request is being replied to."""
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        self._limit = asyncio.get_running_loop().call_later(ARRIVAL, self._late)

    def _await_no_more(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _late(self) -> None:
        self._limit = None
        if not self._idle:  # the reply goes first; the head behind it has as long again
            self._await_head()
        elif self._began:
            self._refuse(ProblemError(408, f"The request's head did not come within {ARRIVAL:.0f} seconds."))
        else:
            self.transport.close()

    def _refuse(self, problem: ProblemError) -> None:
        reply = respond(problem)
        head = [(b"connection", b"close"), *reply.raw_headers]
        lines = [STATUS_LINE[reply.status_code], *(b"%s: %s\r\n" % pair for pair in head), b"\r\n", bytes(reply.body)]
        self.transport.write(b"".join(lines))
        self.transport.close()
