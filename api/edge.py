"""Which way a request takes: batches the short one, past the framework, all else the application's."""

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from api.exchange import Exchange
from api.ingest import PATH, Ingest


class Edge:
    """The ASGI application that is served."""

    def __init__(self, app: FastAPI, ingest: Ingest) -> None:
        self.app = app
        self._ingest = Exchange(ingest, PATH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._ingest if Ingest.serves(scope) else self.app)(scope, receive, send)
