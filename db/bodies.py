"""The body of a batch as a client sends it and as it waits in `payloads`: one codec for the edge and for the fleet."""

import zlib
from datetime import datetime
from typing import Annotated

import msgspec

JSON = "application/json"
NDJSON = "application/x-ndjson"
MAX_KEY = 256
"""Characters of a challenge's, respondent's or class's key, at most: what a B-tree entry holds with room to spare."""
MAX_DURATION = 2**31 - 1

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY)]


class AnswerBody(msgspec.Struct, gc=False, frozen=True):
    """One answer of a batch."""

    challenge: Key
    respondent: Key
    answer: Key | None = None
    """None goes with `skip` alone."""
    answered_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    duration_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_DURATION)] | None = None
    session: Key | None = None
    """What the client calls the sitting; the respondent gets a score for it."""
    skip: bool = False
    """The respondent cannot tell; there is no answer then."""


class BatchBody(msgspec.Struct, gc=False, frozen=True, forbid_unknown_fields=True):
    """The JSON body of a POST."""

    answers: Annotated[list[AnswerBody], msgspec.Meta(min_length=1)]


_DEFLATED = b"\x78"
"""The first byte of what zlib makes; no JSON begins with it."""
_SHORT = 512
"""Bytes of a body for which deflating costs more than it saves."""

_JSON = msgspec.json.Decoder(BatchBody)
_LINE = msgspec.json.Decoder(AnswerBody)


def decode(body: bytes, media_type: str) -> list[AnswerBody]:
    """All answers of a body in order; an answer's index is its position.

    Raises:
        msgspec.MsgspecError: the body is not of the form.
        UnicodeDecodeError: a string is not UTF-8.
    """
    return _JSON.decode(body).answers if media_type == JSON else _LINE.decode_lines(body)


def pack(body: bytes) -> bytes:
    """A body as it waits: smaller than Postgres would make it, in half the time, on its way there as well."""
    return body if len(body) < _SHORT else zlib.compress(body, 1)


def unpack(packed: bytes) -> bytes:
    """What was packed, or is stored as it was received. Spoiled bytes stay so: who decodes them will say."""
    try:
        return zlib.decompress(packed) if packed.startswith(_DEFLATED) else packed
    except zlib.error:
        return packed
