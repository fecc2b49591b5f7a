"""The rows of a body of gold, each wrong one named."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from anyio import to_thread
from fastapi import Request
from pydantic import ValidationError

from api.body import Inbox, compressed, inflate, media_type
from api.json_walk import JsonWalk, MisshapenError, Unreadable, decoded, lines
from api.problems import Fault, ProblemError, faults, refusal
from api.schemas.gold import GoldItem
from config.settings import Settings
from db.bodies import JSON, NDJSON

_SCHEMA = {"$ref": "#/components/schemas/GoldItem"}
_EXAMPLE = [{"challenge": "img-17", "answer": "cat"}]

REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"type": "array", "minItems": 1, "items": _SCHEMA}, "example": _EXAMPLE},
            NDJSON: {"schema": _SCHEMA},
        },
    }
}
"""How the OpenAPI document describes such a body."""


async def read(request: Request, settings: Settings) -> list[GoldItem]:
    """The rows of a request's body, a JSON array or NDJSON.

    Raises:
        ProblemError: it is too large, or not such a body; each wrong row is named by its pointer, in NDJSON by its
            line counted from 0.
    """
    kind = media_type(request.headers.get("content-type"))
    gzipped = compressed(request.headers.get("content-encoding"))
    body = await request.body()

    def parse() -> list[GoldItem]:
        plain = inflate(body, settings.max_body_bytes) if gzipped else body
        count = partial(_limit, limit=settings.max_answers)
        rows = _array(plain, count) if kind == JSON else lines(plain, _DECODER, count)
        if not rows:
            raise refused([Fault("", "has no rows")])
        return _checked(rows)

    inbox: Inbox = request.app.state.inbox
    return await to_thread.run_sync(parse, limiter=inbox.lookers)


def refused(wrong: Sequence[Fault]) -> ProblemError:
    """The refusal of gold because of these faults."""
    return refusal("The gold is not valid; nothing was stored.", wrong)


_DECODER = json.JSONDecoder()


def _array(body: bytes, count: Callable[[int], None]) -> list[Any]:
    walk = JsonWalk(decoded(body), _DECODER)
    if walk.next() != "[":
        raise refused([Fault("", "must be an array")])
    try:
        rows = walk.array(count)
        walk.end()
    except MisshapenError as error:
        raise refused([Fault("", error.detail)]) from None
    except (ValueError, RecursionError):
        raise refused([Fault("", "is not JSON")]) from None
    return rows


def _limit(count: int, limit: int) -> None:
    if count > limit:
        raise ProblemError(413, f"The body has more than {limit:,} rows.")


def _checked(rows: Iterable[Any]) -> list[GoldItem]:
    items: list[GoldItem] = []
    wrong: list[Fault] = []
    first: dict[str, tuple[int, str]] = {}
    for index, row in enumerate(rows):
        item = _item(index, row, wrong.append)
        if item is None:
            continue
        place, answer = first.setdefault(item.challenge, (index, item.answer))
        if answer != item.answer:
            wrong.append(Fault(f"/{index}/answer", f"row {place} gives the challenge another answer"))
        items.append(item)
    if wrong:
        raise refused(wrong)
    return items


def _item(index: int, row: Any, report: Callable[[Fault], None]) -> GoldItem | None:
    if isinstance(row, Unreadable):
        report(Fault(f"/{index}", row.detail))
        return None
    try:
        return GoldItem.model_validate(row)
    except ValidationError as error:
        for found in faults(error, "body", index):
            report(found)
        return None
