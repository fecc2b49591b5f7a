"""Storing behind: Postgres stores a claim while it is being worked out from what is remembered, and the next one is."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from functools import partial
from typing import Self

from telemetry import logging, metrics
from workers.ahead import Ready
from workers.turns import Foreseen, OvertakenError

log = logging.get(__name__)

Store = Callable[[Ready, Foreseen, Foreseen | None], None]
"""Commits what is foreseen of a claim, behind what was foreseen of another."""
Redo = Callable[[Ready], list[str]]
"""Grades a claim in a turn that it waits for, whatever it takes; a line for each batch that could not be graded."""
Foresee = Callable[[Callable[[Foreseen], None]], Foreseen | None]
"""Works a claim out, and says of what turn as soon as it is known that this can be stored; None if it cannot be."""


@dataclass(frozen=True, slots=True)
class _Storing:
    ready: Ready
    foreseen: Foreseen
    stored: "Future[None]"


class Behind:
    """The claims of a slice that are being stored: one that is worked out, and the one that is just being so. The block
    ends when they are.

    Args:
        thread: a single one, in which claims are stored.
        store: what is done there.
        redo: what becomes of a claim whose turn was not foreseen, or wrongly, or could not be stored.
        give_back: what becomes of one that could not be stored when the block ends with an error.
    """

    def __init__(self, thread: Executor, store: Store, redo: Redo, give_back: Callable[[Ready], None]) -> None:
        self._thread = thread
        self._store = store
        self._redo = redo
        self._give_back = give_back
        self._storing: _Storing | None = None
        self._begun: _Storing | None = None
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._begun is not None:  # it was interrupted where nothing could be done about it
            self._begun.foreseen.give_up()
        if self._last is not None:  # by then all before it have ended
            wait([self._last])
        if self._storing is not None and self._storing.stored.exception() is not None:
            self._give_back(self._storing.ready)

    def store(self, ready: Ready, foresee: Foresee) -> list[str]:
        """Work a claim out and store it, when the one before is stored, which is waited for. Lines of `redo`, where
        that was to be done with either."""
        foreseen = foresee(partial(self._begin, ready))
        begun, self._begun = self._begun, None
        failed = self._settle(foreseen)
        if begun is not None and foreseen is not None and foreseen.sound:
            self._storing = begun
            return failed
        if begun is not None:
            begun.stored.exception()  # it is not being stored any more
        return failed + self._redo(ready)

    def settle(self) -> list[str]:
        """Wait for the claim that is being stored, if one is. Lines of `redo`, likewise."""
        return self._settle(None)

    def _begin(self, ready: Ready, foreseen: Foreseen) -> None:
        before = None if self._storing is None else self._storing.foreseen
        self._last = self._thread.submit(self._store, ready, foreseen, before)
        self._begun = _Storing(ready, foreseen, self._last)

    def _settle(self, following: Foreseen | None) -> list[str]:
        """
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
