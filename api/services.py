"""What a request can use: made once by the lifespan, handed to routes."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection, Engine

from api.backlog import Backlog
from api.commits import Writer
from api.doors import Door
from api.exports import Exports
from api.feeds import Feeds
from api.questions import Questions
from api.ringer import Ringer
from api.timed_cache import TimedCache
from api.waiters import Waiters
from config.settings import Settings
from db import transactions
from db.keys import Principal
from telemetry import crashpoints

READ: transactions.Settings = {"statement_timeout": "20s"}
"""Longer than any page takes, however much is stored: a read beyond gives back its connection."""
LOCK = 10.0
"""Seconds that a change waits for a lock, at most: it holds a connection meanwhile."""


@dataclass(frozen=True, slots=True)
class Services:
    """The long-lived parts of one API process."""

    settings: Settings
    engine: Engine
    exports: Exports
    writer: Writer
    backlog: Backlog
    ringer: Ringer
    keys: TimedCache[bytes, Principal | None]
    doors: TimedCache[tuple[int, str], Door]
    feeds: Feeds
    waiters: Waiters
    questions: Questions

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that only looks something up, and not for long."""
        return transactions.begun(self.engine, transactions.bounds(idle=self.settings.lease), READ)

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """A transaction that changes something: a lease after this process has stopped in it, others can go on."""
        bounds = transactions.bounds(idle=self.settings.lease, lock=LOCK)
        with transactions.begun(self.engine, bounds) as connection:
            yield connection
            crashpoints.reach("change-before-commit")
        crashpoints.reach("change-committed")


async def _services(request: Request) -> Services:  # else each request would go to a thread and back for it
    services: Services = request.app.state.services
    return services


Here = Annotated[Services, Depends(_services)]
