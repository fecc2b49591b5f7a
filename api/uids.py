"""Identifiers that clients see."""

import secrets
import time
import uuid


def new_uid() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562): later ones sort later, so that an index grows at its end."""
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | (random >> 62) << 64 | 2 << 62 | random & (1 << 62) - 1)
