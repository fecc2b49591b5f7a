"""What a request can use: made once by the lifespan, handed to routes."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection, Engine

from api.backlog import Backlog
from api.commits import Writer
from api.doors import Door
from api.feeds import Feeds
from api.questions import Questions
from api.ringer import Ringer
from api.timed_cache import TimedCache
from api.waiters import Waiters
from config.settings import Settings
from db import transactions
from db.keys import Principal

READ: transactions.Settings = {"statement_timeout": "20s"}
"""Longer than any page takes, however much is stored: a read beyond gives back its connection."""


@dataclass(frozen=True, slots=True)
class Services:
    """The long-lived parts of one API process."""

    settings: Settings
    engine: Engine
    exports: Engine
    """A pool of its own: a slow reader of a long export cannot take the connections that others need."""
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

    def changing(self) -> AbstractContextManager[Connection]:
        """A transaction that changes something: a lease after this process has stopped in it, others can go on."""
        return transactions.begun(self.engine, transactions.bounds(idle=self.settings.lease))


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Here = Annotated[Services, Depends(_services)]
