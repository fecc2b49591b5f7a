"""Keeping a lease alive for as long as this process lives and works, so that leases can be short."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from db import transactions
from db.errors import StaleClaimError
from telemetry import crashpoints, logging

log = logging.get(__name__)


@contextmanager
def kept(engine: Engine, renew: Callable[[Connection], None], lease: float) -> Iterator[None]:
    """Renew a lease every third of it, each time in a transaction, from a thread, until the block ends.

    A renewal that fails is only logged: the block's own transactions are fenced and find out by themselves. One that is
    stopped in the middle is ended by Postgres: whoever takes over need not wait for it.
    """
    over = threading.Event()

    def keep() -> None:
        while not over.wait(lease / 3):
            try:
                with transactions.begun(engine, transactions.bounds(idle=lease, lock=lease / 3)) as connection:
                    renew(connection)
                    crashpoints.reach("lease-before-commit")
                crashpoints.reach("lease-committed")
            except StaleClaimError as error:
                log.warning("lease lost", reason=str(error))
                return
            except DBAPIError as error:
                log.warning("lease not renewed", error=str(error.orig))

    keeper = threading.Thread(target=keep, name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
