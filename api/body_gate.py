"""The bodies of all requests but batches: let in before the framework, which would take whatever anybody sends."""

import re
from collections.abc import Collection
from contextlib import ExitStack

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import admit, bearer
from api.body import Inbox, read
from api.problems import translate
from api.services import Services
from db.models.tenant import SCOPES

SMALL = 64 * 1024
"""Bytes of a body, at most, that is neither a list nor a project."""
PROJECT = 256 * 1024
"""Bytes of a project, at most: a thousand classes with the longest of keys."""

_LISTS = re.compile(r"POST /v1/projects/[^/]+/gold|PUT /v1/projects/[^/]+/groups/.+", re.DOTALL)
_PROJECTS = re.compile(r"POST /v1/projects|PATCH /v1/projects/[^/]+")


class BodyGate:
    """Lets a body in that somebody with a key sends, while there are time and room and it has at most `limit` bytes.

    It has its room until it is replied to.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        services: Services = scope["app"].state.services
        inbox: Inbox = scope["app"].state.inbox
        with ExitStack() as room:
            try:
                limit, scopes = self._allowed(scope)
                caller = await admit(services.keys, bearer(Headers(scope=scope).get("authorization")), *scopes)
                body = await read(scope, receive, limit, room.enter_context(inbox.receiving(caller.tenant_id)))
            except Exception as error:  # noqa: BLE001 - what has no translation is raised again
                await translate(error)(scope, receive, send)
                return
            await self._app(scope, _again(body, receive), send)

    def _allowed(self, scope: Scope) -> tuple[int, Collection[str]]:
        """How large the body may be, and the scopes of which a key must have one to send so much."""
        operation = f"{scope['method']} {scope['path']}"
        if _LISTS.fullmatch(operation):
            return self._limit, ("gold",)
        return min(self._limit, PROJECT if _PROJECTS.fullmatch(operation) else SMALL), SCOPES


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was received, then whatever comes."""
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received
