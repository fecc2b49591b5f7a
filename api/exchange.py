"""What every exchange has: an identifier, safe headers, a place in the metrics, an answer even to a fault of ours."""

import os
import re
import time
from functools import cache

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import ProblemError, respond
from telemetry import logging, metrics

log = logging.get(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Exchange:
    """The outermost layer.

    Args:
        route: the one path that `app` serves; None: the scope tells.
    """

    def __init__(self, app: ASGIApp, route: str | None = None) -> None:
        self._app = app
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        start = time.perf_counter()
        status = 0

        async def finished(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message["headers"])
                present = {name for name, _ in headers}
                headers += [pair for pair in _HEADERS if pair[0] not in present]
                headers.append((b"x-request-id", request_id))
                message["headers"] = headers
            await send(message)

        logging.bind(request=request_id.decode())  # the server gives each request a context of its own
        try:
            await self._app(scope, receive, finished)
        except Exception:
            log.exception("request failed", method=scope["method"], path=scope["path"])
            if status:
                raise  # a reply that has begun can only be broken off
            problem = ProblemError(500, "Something went wrong on our side. The log has it under the request id.")
            await respond(problem)(scope, receive, finished)
        finally:
            route = self._route or getattr(scope.get("route"), "path", "none")
            requests, seconds = _counters(scope["method"], route, status)
            requests.inc()
            seconds.observe(time.perf_counter() - start)


@cache
def _counters(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return metrics.HTTP_REQUESTS.labels(method, route, str(status)), metrics.HTTP_SECONDS.labels(method, route)


def _request_id(scope: Scope) -> bytes:
    """The caller's own identifier if it has a decent one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return os.urandom(16).hex().encode()
