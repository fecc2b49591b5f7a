"""Storing behind: while Postgres stores one claim, the next one is worked out from what is remembered."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from telemetry import logging, metrics
from workers.ahead import Ready
from workers.turns import Foreseen, OvertakenError

log = logging.get(__name__)

Redo = Callable[[Ready], list[str]]
"""Grades a claim in a turn that it waits for, whatever it takes; a line for each batch that could not be graded."""


@dataclass(frozen=True, slots=True)
class _Storing:
    ready: Ready
    foreseen: Foreseen
    stored: "Future[None]"


class Behind:
    """The claim of a slice that is being stored, one at a time. The block ends when it is.

    Args:
        store: commits what was foreseen of a claim, in a thread of its own.
        redo: what becomes of a claim whose turn was not foreseen, or wrongly, or could not be stored.
    """

    def __init__(self, store: Callable[[Ready, Foreseen], None], redo: Redo) -> None:
        self._store = store
        self._redo = redo
        self._storing: _Storing | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._pool = self._stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="behind"))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def store(self, ready: Ready, foreseen: Foreseen | None) -> list[str]:
        """Begin to store a claim; none is being stored. Lines of `redo`, where that was to be done."""
        if foreseen is None or not foreseen.sound:
            return self._redo(ready)
        self._storing = _Storing(ready, foreseen, self._pool.submit(self._store, ready, foreseen))
        return []

    def settle(self, following: Foreseen | None = None) -> list[str]:
        """Wait for the claim that is being stored, if one is. Lines of `redo`, likewise.

        Args:
            following: what was foreseen behind it, which is not sound if it could not be stored.
        """
        storing, self._storing = self._storing, None
        if storing is None:
            return []
        error = storing.stored.exception()
        if error is None:
            storing.foreseen.settle()
            return []
        metrics.CLAIMS.labels("redone").inc()
        log.info("not stored as foreseen", claim=storing.ready.claim.id, error=repr(error))
        if following is not None:
            following.undo()
        storing.foreseen.undo()
        if not isinstance(error, OvertakenError):  # it may have been stored all the same
            storing.foreseen.turn.recall.forget()
        return self._redo(storing.ready)
