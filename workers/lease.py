"""Keeping a lease alive while something long is computed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from db import runs
from db.errors import StaleClaimError
from db.runs import RunClaim
from telemetry import logging

log = logging.get(__name__)


@contextmanager
def kept(engine: Engine, run: RunClaim, lease: float) -> Iterator[None]:
    """Renew the run's lease every third of it, from a thread, until the block ends.

    A renewal that fails is only logged: the block's own transactions are fenced and find out by themselves.
    """
    over = threading.Event()

    def renew() -> None:
        while not over.wait(lease / 3):
            try:
                with engine.begin() as connection:
                    runs.renew(connection, run, lease)
            except StaleClaimError:
                log.warning("lease lost", run=run.id)
                return
            except DBAPIError as error:
                log.warning("lease not renewed", run=run.id, error=str(error.orig))

    keeper = threading.Thread(target=renew, name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
