"""What a worker process holds for as long as it lives."""

import uuid
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Self

import torch
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from config.settings import Settings
from db import transactions
from db.engine import make_engine
from db.identities import Keys
from db.server import Server
from workers import devices
from workers.recall import Memory

NAMING = 2
"""Times as long as a silent worker is believed in that naming what is new in a claim may take."""
CONNECTIONS = 4
"""To work, to store what was worked out before, to claim ahead, and to keep leases alive."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Built once per process, after any fork or spawn."""

    settings: Settings
    engine: Engine
    device: torch.device
    server: Server
    keys: Keys
    memory: Memory
    ahead: Executor
    """A thread in which claims are made ready."""
    behind: Executor
    """A thread in which they are stored. Both live as long as the process: the C library keeps memory for each thread
    apart, and what the threads of ever new slices left there added up."""
    crowded: dict[date, float] = field(default_factory=dict)
    """Days whose bodies many batches need, and when to look again, by the monotonic clock."""

    @classmethod
    def open(cls, settings: Settings, *, name: str = "touchstone-worker") -> Self:
        """Connect lazily, choose the device.

        Raises:
            SettingsError: no Postgres is configured.
        """
        url, prepared = settings.require_database_url(), settings.prepared_statements
        engine = make_engine(url, pool_size=CONNECTIONS, name=name, prepared=prepared)
        ahead, behind = (ThreadPoolExecutor(1, thread_name_prefix=role) for role in ("ahead", "behind"))
        server, device = Server(engine), devices.choose(settings.device)
        keys = Keys(engine, server, most=NAMING * settings.stall)
        return cls(settings, engine, device, server, keys, Memory(server), ahead, behind)

    def bounded(self, *settings: transactions.Settings) -> AbstractContextManager[Connection]:
        """A transaction that holds nothing any more a lease after this process has stopped in the middle of it."""
        return transactions.begun(self.engine, transactions.bounds(idle=self.settings.lease), *settings)

    def connect(self) -> None:
        """Make all connections now, if Postgres is there: each that is made later makes this process forget."""
        with ExitStack() as stack, suppress(DBAPIError):
            for _ in range(CONNECTIONS):
                stack.enter_context(self.engine.connect())

    def close(self) -> None:
        """End the threads, give the connections back."""
        self.ahead.shutdown()
        self.behind.shutdown()
        self.engine.dispose()


@dataclass(frozen=True, slots=True)
class WorkLeft:
    """What a task leaves for others once it has committed."""

    doors: tuple[tuple[int, str], ...] = ()
    """Project and lane at which something waits."""
    staying: bool = False
    """Nothing waits elsewhere: this process, which remembers the project, had better go on at that door itself."""
    refits: tuple[int, ...] = ()
    """Projects with a model run that waits."""
    revisits: tuple[int, ...] = ()
    """Projects whose statistics have moved and that have nothing waiting."""
    lessons: tuple[int, ...] = ()
    """Projects that may have something to learn."""
    regrades: tuple[int, ...] = ()
    """Projects with gold that has changed."""
    graded: tuple[uuid.UUID, ...] = ()
    """Batches that were claimed and are done with, or were tried, whose grades somebody may be waiting for."""


NOTHING_LEFT = WorkLeft()
