"""The rows of a body of gold, each wrong one named."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from anyio import to_thread
from fastapi import Request
from pydantic import ValidationError

from api.body import compressed, inflate, media_type
from api.problems import Fault, ProblemError, fault
from api.schemas.gold import GoldItem
from config.settings import Settings
from db.bodies import JSON, NDJSON

NAMED = 1000
"""Faults that a problem document names, at most."""

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
        rows = _array(plain) if kind == JSON else [_loaded(line) for line in plain.split(b"\n") if line.strip()]
        if not rows:
            raise refused([Fault("", "has no rows")])
        if len(rows) > settings.max_answers:
            raise ProblemError(413, f"The body has more than {settings.max_answers:,} rows.")
        return _checked(rows)

    return await to_thread.run_sync(parse)


def refused(faults: Sequence[Fault]) -> ProblemError:
    """The refusal of gold because of these faults."""
    text = "The gold is not valid; nothing was stored."
    if len(faults) > NAMED:
        text += f" The first {NAMED:,} of {len(faults):,} faults are named."
    return ProblemError(422, text, faults[:NAMED])


def _array(body: bytes) -> list[Any]:
    rows = _loaded(body)
    if not isinstance(rows, list):
        raise refused([Fault("", "is not JSON" if rows is _UNREADABLE else "must be an array")])
    return rows


_UNREADABLE = object()


def _loaded(text: bytes) -> Any:
    """JSON; strings that are not Unicode stay in it, to be found out row by row."""
    try:
        return json.loads(text.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return _UNREADABLE


def _checked(rows: Iterable[Any]) -> list[GoldItem]:
    items: list[GoldItem] = []
    faults: list[Fault] = []
    first: dict[str, tuple[int, str]] = {}
    for index, row in enumerate(rows):
        item = _item(index, row, faults.append)
        if item is None:
            continue
        place, answer = first.setdefault(item.challenge, (index, item.answer))
        if answer != item.answer:
            faults.append(Fault(f"/{index}/answer", f"row {place} gives the challenge another answer"))
        items.append(item)
    if faults:
        raise refused(faults)
    return items


def _item(index: int, row: Any, report: Callable[[Fault], None]) -> GoldItem | None:
    if row is _UNREADABLE:
        report(Fault(f"/{index}", "is not JSON"))
        return None
    try:
        return GoldItem.model_validate(row)
    except ValidationError as error:
        for found in error.errors():
            report(fault({**found, "loc": ("body", index, *found["loc"])}))
        return None
