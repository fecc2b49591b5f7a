"""Taking batches in: the hot path, an ASGI application of its own without anything it does not need.

FastAPI describes it in the OpenAPI document (`api.ingest_operation`) but has no part in serving it.
"""

import asyncio
import hashlib
import re
import uuid
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.datastructures import State
from starlette.types import Receive, Scope, Send

from api import answers, graded, preferences
from api.access import admit, bearer
from api.answers import Checked
from api.body import Inbox, compressed, inflate, media_type, read
from api.doors import Door
from api.problems import Fault, ProblemError, refusal, translate
from api.services import Services
from api.uids import new_uid
from config.settings import Settings
from db.batches import Accepted, NewBatch
from db.keys import Principal
from db.models.batch import LANES
from telemetry import metrics

PATH = "/v1/projects/{project}/batches"
KEY = re.compile(r"[\x21-\x7e]{1,200}")

_IDEMPOTENCY_KEY = b"idempotency-key"
_PLACE = re.compile(PATH.format(project="([^/]+)"))
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


class _Headers:
    """The headers of a request; of one that is repeated the first counts."""

    def __init__(self, scope: Scope) -> None:
        self._pairs: list[tuple[bytes, bytes]] = scope["headers"]
        self._first = dict(reversed(self._pairs))

    def first(self, name: bytes) -> str | None:
        value = self._first.get(name)
        return None if value is None else value.decode("latin-1")

    def all(self, name: bytes) -> list[str]:
        return [value.decode("latin-1") for found, value in self._pairs if found == name]


class Ingest:
    """Takes batches in, with the services and the inbox that the application's state has."""

    def __init__(self, state: State) -> None:
        self._state = state

    @staticmethod
    def serves(scope: Scope) -> bool:
        """Whether a request is for this application."""
        return scope["type"] == "http" and scope["method"] == "POST" and _PLACE.fullmatch(scope["path"]) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, headers, body = await self._take(scope, receive)
        except Exception as error:  # noqa: BLE001 - what has no translation is raised again
            await translate(error)(scope, receive, send)
            return
        own = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        own += [(name, value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": own})
        await send({"type": "http.response.body", "body": body})

    async def _take(self, scope: Scope, receive: Receive) -> tuple[int, dict[bytes, str], bytes]:
        """Status, headers and body of the reply."""
        services: Services = self._state.services
        sent = _Headers(scope)
        principal = await admit(services.keys, bearer(sent.first(b"authorization")), "submit")
        place = _PLACE.fullmatch(scope["path"])
        project = place[1] if place else ""
        batch = await self._posted(scope, receive, sent, principal, project)
        own, key = batch.uid, batch.idempotency_key
        patience = _patience(sent.all(b"prefer"), principal, services.settings)
        result = None
        with _word(services, principal, own, patience) as word:  # before the commit, so that none can be missed
            accepted = await _stored(services, batch, principal.tenant_id)
            uid = _accepted(batch, accepted)
            del batch  # whoever waits holds no body
            if word is not None and uid == own:
                result = await graded.within(services, principal, project, uid, word, patience)
        if uid != own:
            with _word(services, principal, uid, patience) as word:
                if word is not None:
                    result = await graded.now(services, principal, project, uid)
                    result = result or await graded.within(services, principal, project, uid, word, patience)
        headers = {b"location": f"{scope['path']}/{uid}", _IDEMPOTENCY_KEY: key}
        if result is None:
            return 202, headers, accepted.reply
        return 200, headers | {b"preference-applied": f"wait={patience}"}, result

    async def _posted(
        self, scope: Scope, receive: Receive, sent: _Headers, principal: Principal, project: str
    ) -> NewBatch:
        """What is posted, once it is let in, read and looked over."""
        services: Services = self._state.services
        settings = services.settings
        door = await services.doors.get((principal.tenant_id, project))
        options = _options(scope["query_string"])
        services.backlog.check(door.project_id, options.lane)
        key = _key(sent.first(_IDEMPOTENCY_KEY))
        kind = _media_type(sent.first(b"content-type"))
        gzipped = compressed(sent.first(b"content-encoding"))
        inbox: Inbox = self._state.inbox
        with inbox.receiving(principal.tenant_id) as take:
            body = await read(scope, receive, settings.max_body_bytes, take)
            plain, checked = await _look(body, gzipped, kind, door, settings, inbox.lookers)
            return _batch(checked, plain, kind, door, project, options, key)


async def _look(
    body: bytes, gzipped: bool, kind: str, door: Door, settings: Settings, lookers: CapacityLimiter
) -> tuple[bytes, Checked]:
    """The body as it is without compression, looked over."""
    if len(body) <= _SMALL and not gzipped:
        clean = answers.glance(body, kind, door, limit=settings.max_answers)
        if clean is not None:
            return body, clean

    def thoroughly() -> tuple[bytes, Checked]:
        plain = inflate(body, settings.max_body_bytes) if gzipped else body
        return plain, answers.check(plain, kind, door, limit=settings.max_answers)

    return await to_thread.run_sync(thoroughly, limiter=lookers)


def _patience(preferred: list[str], caller: Principal, settings: Settings) -> int:
    """Seconds that the client would wait for grades; 0 for one that may not read them."""
    wanted = preferences.wait(preferred)
    return min(wanted, settings.wait_limit) if "read" in caller.scopes else 0


def _word(
    services: Services, caller: Principal, batch: uuid.UUID, patience: int
) -> AbstractContextManager[asyncio.Event | None]:
    return services.waiters.place(str(batch), caller.tenant_id) if patience else nullcontext()


async def _stored(services: Services, batch: NewBatch, tenant_id: int) -> Accepted:
    try:
        return await services.writer.accept(batch, tenant_id)
    except ProblemError as problem:  # it may be stored all the same: whoever posts it again under its key will know
        problem.headers = {**(problem.headers or {}), _IDEMPOTENCY_KEY.decode(): batch.idempotency_key}
        raise


def _accepted(batch: NewBatch, accepted: Accepted) -> uuid.UUID:
    """Under which id the batch is stored: its own, or that of the POST that it repeats."""
    if accepted.digest != batch.digest:
        raise ProblemError(409, "The idempotency key was used with another body or other options.")
    if accepted.reply != batch.reply:
        return uuid.UUID(msgspec.json.decode(accepted.reply, type=Reply).id)
    metrics.ANSWERS_ACCEPTED.inc(batch.answers - len(batch.rejected))
    metrics.ANSWERS_REJECTED.inc(len(batch.rejected))
    return batch.uid


@lru_cache(maxsize=64)
def _options(query: bytes) -> _Options:
    given = dict(reversed(parse_qsl(query.decode("latin-1"), keep_blank_values=True)))
    lane = given.get("lane", LANES[0])
    partial = given.get("partial", "false")
    faults = []
    if lane not in LANES:
        faults.append(Fault("/query/lane", f"must be one of {', '.join(LANES)}"))
    if partial not in {"true", "false"}:
        faults.append(Fault("/query/partial", "must be true or false"))
    if faults:
        raise ProblemError(422, "The request is not valid.", faults)
    return _Options(lane, partial == "true")


_media_type = lru_cache(maxsize=64)(media_type)


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
        raise refusal(f"{len(rejected):,} of {checked.answers:,} answers are wrong; nothing was stored.", faults)
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
        size=checked.size,
        answers=checked.answers,
        rejected=rejected,
    )


def _digest(body: bytes, kind: str, options: _Options) -> bytes:
    """What makes two POSTs the same: body, media type and options."""
    digest = hashlib.sha256(f"{kind}\n{options.lane}\n{options.partial}\n".encode())
    digest.update(body)
    return digest.digest()
