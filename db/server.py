"""Which server answers: another one, or the same after a crash, may lack the last commits that a process knows of."""

from datetime import datetime
from typing import Any

from sqlalchemy import Engine, event

STARTED = "pg_postmaster_start_time()"
"""In SQL: what `Server.seen` is to be told."""


class Server:
    """The server behind an engine, as far as this process can tell.

    It may be another one whenever a connection is made anew. A pooler hides that: behind one, it is another one if it
    was started at another time.
    """

    def __init__(self, engine: Engine) -> None:
        self.epoch = 0
        """How often it may have become another one: what was found in an epoch holds in that epoch."""
        self._started: datetime | None = None
        event.listen(engine, "connect", self._connected)

    def seen(self, started: datetime) -> None:
        """A transaction was told when the server that it is in was started."""
        if started != self._started:
            self._started = started
            self.epoch += 1

    def _connected(self, driver: Any, _record: object) -> None:
        with driver.cursor() as cursor:
            cursor.execute(f"SELECT {STARTED}", prepare=False)
            ((self._started,),) = cursor.fetchall()
        driver.rollback()
        self.epoch += 1
