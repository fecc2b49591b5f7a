"""The body of a batch as a client sends it and as it waits in `payloads`: one codec for the edge and for the fleet."""

import threading
import zlib
from datetime import datetime
from typing import Annotated

import msgspec
import zstandard

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


_ZSTD = zstandard.FRAME_HEADER
"""How what Zstandard makes begins; no JSON does."""
_DEFLATED = b"\x78"
"""How what zlib makes begins; no JSON does."""
_SHORT = 512
"""Bytes of a body for which compressing costs more than it saves."""


class _Codec(threading.local):
    """Contexts that are made once: one costs as much as a small body, and no two threads may use it together."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
        self.decompressor = zstandard.ZstdDecompressor()


_codec = _Codec()

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
    """A body as it waits: smaller than Postgres would make it, in a fraction of the time, on its way there as well."""
    return body if len(body) < _SHORT else _codec.compressor.compress(body)


def unpack(packed: bytes) -> bytes:
    """What was packed, also by releases that deflated, or is stored as it was received.

    Spoiled bytes stay so: who decodes them will say.
    """
    try:
        if packed.startswith(_ZSTD):
            return _codec.decompressor.decompress(packed)
        return zlib.decompress(packed) if packed.startswith(_DEFLATED) else packed
    except (zstandard.ZstdError, zlib.error, MemoryError):  # memory: for as many bytes as a spoiled head claims
        return packed
