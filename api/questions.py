"""Asking the fleet something, and waiting for its reply without holding a thread or a Postgres connection."""

import asyncio
import uuid
from contextlib import suppress

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from api.problems import unavailable
from api.quota import Quota
from api.ringer import Ringer

PATIENCE = 5.0
"""Seconds that a reply is waited for."""
WAITING = 32
"""Questions that wait in this process, at most; each holds a connection to Redis."""
TENANT_WAITING = 16
"""Questions of one tenant that wait in this process, at most."""


class Questions:
    """Questions go out through the ringer; replies come back in Redis, each at a key of its own."""

    def __init__(self, ringer: Ringer, url: str) -> None:
        self._ringer = ringer
        self._waiting = Quota(WAITING, TENANT_WAITING, "Too many explanations are waited for.")
        self._redis = Redis.from_url(
            url,
            max_connections=WAITING,
            socket_connect_timeout=1.0,
            socket_timeout=PATIENCE + 1,
            retry=Retry(NoBackoff(), 0),
        )

    async def explain(self, tenant_id: int, project_id: int, challenge_id: int, *, gold: bool) -> str | bytes:
        """The fleet's explanation of a verdict, as JSON; `null` if there is none.

        Raises:
            ProblemError: 503: too many wait, or no reply came in time.
        """
        reply = f"reply:{uuid.uuid4().hex}"
        found = None
        with self._waiting.place(tenant_id), suppress(RedisError, TimeoutError, OSError):
            self._ringer.ask_to_explain(project_id, challenge_id, reply, gold, PATIENCE)
            async with asyncio.timeout(PATIENCE):
                found = await self._redis.blpop([reply], timeout=PATIENCE)
        if found is None:
            raise unavailable("The fleet does not answer.")
        return found[1]

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()
