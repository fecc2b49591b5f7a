"""Which server answers: another one, or the same after a crash, may lack the last commits that a process knows of."""

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, event, text

INCARNATION = "ARRAY[pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time()]"
"""In SQL: other than before when the server may have lost something. After a crash of one of its processes it was not
started anew, but has discarded what it had counted ("The Cumulative Statistics System" in PostgreSQL's manual)."""


def incarnation(connection: Connection) -> Sequence[datetime]:
    """That of the server that a transaction is in."""
    found: Sequence[datetime] = connection.execute(text(f"SELECT {INCARNATION}")).scalar_one()
    return found


class Server:
    """The server behind an engine, as far as this process can tell.

    It may be another one whenever a connection is lost or made anew. A pooler hides that: behind one, its incarnation
    tells.
    """

    def __init__(self, engine: Engine) -> None:
        self.epoch = 0
        """How often it may have become another one: what was found in an epoch holds in that epoch."""
        self.incarnation: Sequence[datetime] | None = None
        """As was seen last."""
        self._lock = threading.Lock()
        event.listen(engine, "connect", self._connected)
        event.listen(engine, "invalidate", self._lost)

    def seen(self, incarnation: Sequence[datetime]) -> None:
        """A transaction was told which server it is in."""
        with self._lock:
            if incarnation != self.incarnation:
                self.epoch += 1
                self.incarnation = incarnation

    def _connected(self, driver: Any, _record: object) -> None:
        with driver.cursor() as cursor:
            cursor.execute(f"SELECT {INCARNATION}", prepare=False)
            ((found,),) = cursor.fetchall()
        driver.rollback()
        with self._lock:
            self.epoch += 1
            self.incarnation = found

    def _lost(self, *_: object) -> None:
        with self._lock:
            self.epoch += 1
