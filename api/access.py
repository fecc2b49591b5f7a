"""Who calls, and what they may do."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine

from api.problems import ProblemError
from api.services import Here
from api.timed_cache import TimedCache
from db import keys
from db.keys import Principal

_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="An API key: `Authorization: Bearer ts_...`.")


def key_cache(engine: Engine, *, seconds: float, patience: float) -> TimedCache[bytes, Principal | None]:
    """Principals by the SHA-256 of their keys; unknown keys are remembered too, in places of their own."""

    def load(digest: bytes) -> Principal | None:
        with engine.begin() as connection:
            return keys.principal(connection, digest)

    return TimedCache(load, seconds=seconds, size=10_000, patience=patience)


async def admit(cache: TimedCache[bytes, Principal | None], secret: str | None, *scopes: str) -> Principal:
    """Who owns the key, if it has one of the scopes.

    Raises:
        ProblemError: 401 without a valid key, 403 when the key lacks the scope.
    """
    principal = await cache.get(keys.digest(secret)) if secret else None
    if principal is None:
        detail = "The API key is not valid." if secret else "An API key is needed: Authorization: Bearer ts_..."
        raise ProblemError(401, detail, headers={"WWW-Authenticate": "Bearer"})
    if principal.scopes.isdisjoint(scopes):
        raise ProblemError(403, f"The API key lacks the scope {' or '.join(scopes)}.")
    return principal


def bearer(authorization: str | None) -> str | None:
    """The secret in an `Authorization` header."""
    scheme, _, secret = (authorization or "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


class _Scoped:
    """A dependency of a route: the caller must have one of the scopes."""

    def __init__(self, *scopes: str) -> None:
        self._scopes = scopes

    async def __call__(self, services: Here, credentials: Credentials) -> Principal:
        return await admit(services.keys, credentials.credentials if credentials else None, *self._scopes)


Reader = Annotated[Principal, Depends(_Scoped("read"))]
Submitter = Annotated[Principal, Depends(_Scoped("submit"))]
ReaderOrSubmitter = Annotated[Principal, Depends(_Scoped("read", "submit"))]
Admin = Annotated[Principal, Depends(_Scoped("admin"))]
Gilder = Annotated[Principal, Depends(_Scoped("gold"))]
"""Who may know what is gold, and say so."""


def _still_reader(services: Here, credentials: Credentials) -> Callable[[], Awaitable[Principal]]:
    return partial(admit, services.keys, credentials.credentials if credentials else None, "read")


StillReader = Annotated[Callable[[], Awaitable[Principal]], Depends(_still_reader)]
"""Asks again, for replies that outlive the question: raises once the key is revoked."""
