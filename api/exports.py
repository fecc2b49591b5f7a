"""Replies of any length in memory that does not grow with it."""

import csv
import io
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing

import anyio
from anyio import to_thread
from sqlalchemy import Engine
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from api.doors import find_project
from api.schemas.verdict import Verdict, shares
from db import consensus
from db.consensus import VerdictRow

CSV, NDJSON = "text/csv", "application/x-ndjson"
STALL = 30.0
"""Seconds a client may take over one chunk: it holds a connection and a snapshot meanwhile."""

_COLUMNS = ("challenge", "answer", "confidence", "answers", "final", "model_run")

Chunks = Generator[bytes, None, None]


class Export(StreamingResponse):
    """Streams chunks that a thread makes, and closes their source however the exchange ends."""

    def __init__(self, chunks: Chunks, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(chunks, headers=headers, media_type=media_type)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def in_time(message: Message) -> None:
            with anyio.fail_after(STALL):
                await send(message)

        try:
            await super().__call__(scope, receive, in_time)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._chunks.close)


def export_verdicts(engine: Engine, tenant_id: int, project_name: str, media_type: str) -> Export:
    """All verdicts of a project at one moment, by challenge, as CSV or NDJSON.

    Raises:
        NotFoundError: this tenant has no such project.
    """
    chunks = _verdicts(engine, tenant_id, project_name, media_type)
    next(chunks)
    extension = "csv" if media_type == CSV else "ndjson"
    return Export(chunks, media_type, {"Content-Disposition": f'attachment; filename="{project_name}.{extension}"'})


def _verdicts(engine: Engine, tenant_id: int, project_name: str, media_type: str) -> Chunks:
    """Begins with an empty chunk, once everything is found: what can fail does so before the reply begins."""
    with engine.connect() as plain:
        connection = plain.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            project = find_project(connection, tenant_id, project_name)
            yield b""
            if media_type == CSV:
                yield _csv([[*_COLUMNS, *(f"p:{name}" for name in project.classes)]])
            write = _csv_rows if media_type == CSV else _ndjson_rows
            with closing(consensus.stream(connection, project.id)) as pages:
                for page in pages:
                    yield write(page, project.classes)


def _csv_rows(page: Iterable[VerdictRow], classes: Sequence[str]) -> bytes:
    return _csv(
        [
            row.challenge,
            None if row.answer is None else classes[row.answer],
            row.confidence,
            row.answers,
            "true" if row.final else "false",
            row.model_run,
            *shares(row.posterior, classes).values(),
        ]
        for row in page
    )


def _ndjson_rows(page: Iterable[VerdictRow], classes: Sequence[str]) -> bytes:
    return b"".join(Verdict.of(row, classes).model_dump_json().encode() + b"\n" for row in page)


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
