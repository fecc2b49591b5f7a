"""Taking batches in: the hot path, a plain Starlette route without anything it does not need.

FastAPI describes it in the OpenAPI document (`api.ingest_operation`) but has no part in serving it.
"""

import asyncio
import hashlib
import re
import uuid
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from api import answers, graded, preferences
from api.access import admit, bearer
from api.answers import Checked
from api.body import compressed, inflate, media_type
from api.doors import Door
from api.problems import Fault, ProblemError
from api.services import Services
from api.uids import new_uid
from config.settings import Settings
from db.batches import Accepted, NewBatch
from db.keys import Principal
from db.models.batch import LANES
from telemetry import logging, metrics

PATH = "/v1/projects/{project}/batches"
KEY = re.compile(r"[\x21-\x7e]{1,200}")
NAMED = 1000
"""Faults that a problem document names, at most."""

_SMALL = 32 * 1024
"""Bytes of a body that is glanced at in the event loop: sooner done than handed to a thread."""


class Reply(msgspec.Struct, frozen=True):
    """The reply to an accepted batch, and to whoever repeats it."""

    id: str
    project: str
    lane: str
    answers: int
    rejected: tuple[Fault, ...]
    state: str = "waiting"


@dataclass(frozen=True, slots=True)
class _Options:
    lane: str
    partial: bool


def route() -> Route:
    """The route that takes batches in."""
    crowded = CapacityLimiter(2)  # more threads would only take the processor and memory from one another

    async def ingest(request: Request) -> Response:
        services: Services = request.app.state.services
        principal = await admit(services.keys, bearer(request.headers.get("authorization")), "submit")
        project: str = request.path_params["project"]
        door = await services.doors.get((principal.tenant_id, project))
        options = _options(request.query_params)
        key = _key(request.headers.get("idempotency-key"))
        kind = media_type(request.headers.get("content-type"))
        gzipped = compressed(request.headers.get("content-encoding"))
        body = await request.body()
        plain, checked = await _look(body, gzipped, kind, door, services.settings, crowded)
        batch = _batch(checked, plain, kind, door, project, options, key)
        patience = _patience(request, principal, services.settings)
        result = None
        with _word(services, batch.uid, patience) as word:  # before the commit, so that none can be missed
            with logging.bound(project=project, batch=batch.uid):
                accepted = await services.writer.accept(batch)
            uid = _accepted(batch, accepted)
            if word is not None and uid == batch.uid:
                result = await graded.within(services, principal, project, uid, word, patience)
        if uid != batch.uid:
            with _word(services, uid, patience) as word:
                if word is not None:
                    result = await graded.now(services, principal, project, uid)
                    result = result or await graded.within(services, principal, project, uid, word, patience)
        headers = {"Location": f"/v1/projects/{project}/batches/{uid}", "Idempotency-Key": batch.idempotency_key}
        if result is None:
            return Response(accepted.reply, 202, headers, "application/json")
        headers["Preference-Applied"] = f"wait={patience}"
        return Response(result, 200, headers, "application/json")

    return _Route(PATH, ingest, methods=["POST"])


class _Route(Route):
    """Notes itself in the scope as FastAPI's routes do, for the metrics."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        if match == Match.FULL:
            child["route"] = self
        return match, child


async def _look(
    body: bytes, gzipped: bool, kind: str, door: Door, settings: Settings, crowded: CapacityLimiter
) -> tuple[bytes, Checked]:
    """The body as it is without compression, looked over."""
    if len(body) <= _SMALL and not gzipped:
        clean = answers.glance(body, kind, door, limit=settings.max_answers)
        if clean is not None:
            return body, clean

    def thoroughly() -> tuple[bytes, Checked]:
        plain = inflate(body, settings.max_body_bytes) if gzipped else body
        return plain, answers.check(plain, kind, door, limit=settings.max_answers)

    return await to_thread.run_sync(thoroughly, limiter=crowded)


def _patience(request: Request, caller: Principal, settings: Settings) -> int:
    """Seconds that the client would wait for grades; 0 for one that may not read them."""
    wanted = preferences.wait(request.headers.getlist("prefer"))
    return min(wanted, settings.wait_limit) if "read" in caller.scopes else 0


def _word(services: Services, batch: uuid.UUID, patience: int) -> AbstractContextManager[asyncio.Event | None]:
    return services.waiters.place(str(batch)) if patience else nullcontext()


def _accepted(batch: NewBatch, accepted: Accepted) -> uuid.UUID:
    """Under which id the batch is stored: its own, or that of the POST that it repeats."""
    if accepted.digest != batch.digest:
        raise ProblemError(409, "The idempotency key was used with another body or other options.")
    if accepted.reply != batch.reply:
        return uuid.UUID(msgspec.json.decode(accepted.reply, type=Reply).id)
    metrics.ANSWERS_ACCEPTED.inc(batch.answers - len(batch.rejected))
    metrics.ANSWERS_REJECTED.inc(len(batch.rejected))
    return batch.uid


def _options(query: QueryParams) -> _Options:
    lane = query.get("lane", "live")
    partial = query.get("partial", "false")
    faults = []
    if lane not in LANES:
        faults.append(Fault("/query/lane", f"must be one of {', '.join(LANES)}"))
    if partial not in {"true", "false"}:
        faults.append(Fault("/query/partial", "must be true or false"))
    if faults:
        raise ProblemError(422, "The request is not valid.", faults)
    return _Options(lane, partial == "true")


def _key(header: str | None) -> str | None:
    if header is not None and not KEY.fullmatch(header):
        fault = Fault("/header/idempotency-key", "must be 1 to 200 visible ASCII characters")
        raise ProblemError(422, "The request is not valid.", [fault])
    return header


def _batch(
    checked: Checked, received: bytes, kind: str, door: Door, project: str, options: _Options, key: str | None
) -> NewBatch:
    faults = [fault for _, fault in checked.faults]
    rejected = checked.rejected
    if faults and (not options.partial or len(rejected) == checked.answers):
        metrics.ANSWERS_REJECTED.inc(len(rejected))
        raise ProblemError(422, _summary(len(rejected), checked.answers, len(faults)), faults[:NAMED])
    uid = new_uid()
    return NewBatch(
        uid=uid,
        project_id=door.project_id,
        lane=options.lane,
        idempotency_key=key or str(uid),
        digest=_digest(received, kind, options),
        reply=msgspec.json.encode(Reply(str(uid), project, options.lane, checked.answers, tuple(faults))),
        media_type=kind,
        body=checked.body,
        answers=checked.answers,
        rejected=rejected,
    )


def _summary(wrong: int, answers: int, faults: int) -> str:
    text = f"{wrong:,} of {answers:,} answers are wrong; nothing was stored."
    return text if faults <= NAMED else f"{text} The first {NAMED:,} of {faults:,} faults are named."


def _digest(body: bytes, kind: str, options: _Options) -> bytes:
    """What makes two POSTs the same: body, media type and options."""
    digest = hashlib.sha256(f"{kind}\n{options.lane}\n{options.partial}\n".encode())
    digest.update(body)
    return digest.digest()
