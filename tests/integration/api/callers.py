"""Callers: a key of a tenant, and a client that shows it."""

from collections.abc import Callable, Iterable

import httpx
from sqlalchemy import Engine

from db import keys, tenants
from db.errors import NotFoundError

Call = Callable[..., httpx.Client]
"""`call(tenant, *scopes)`: a client with a new key."""

ALL = ("submit", "read", "admin", "gold")


def make_key(engine: Engine, tenant: str, scopes: Iterable[str] = ALL) -> tuple[int, str]:
    """Id and secret of a new key; the tenant is made when it is not there."""
    with engine.begin() as connection:
        try:
            found = tenants.get(connection, tenant)
        except NotFoundError:
            found = tenants.create(connection, tenant)
        return keys.create(connection, found.id, "test", tuple(scopes))


def batch(count: int, *, start: int = 0, answer: str = "a") -> dict[str, list[dict[str, str]]]:
    """A body of answers, each to a challenge of its own."""
    return {
        "answers": [
            {"challenge": f"c{index}", "respondent": "r", "answer": answer} for index in range(start, start + count)
        ]
    }
