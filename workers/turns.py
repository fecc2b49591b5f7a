"""Turns: one transaction at a time moves a project's posteriors and statistics.

Two that did so at once would wait for each other's challenges and respondents, and each would read and write the same
respondents for itself. In turns, each knows whether anybody has moved anything since its own last turn: what a process
remembers of a project spares it most of the reading.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from db import transactions
from db import turns as turn_rows
from db.owed import Debt
from db.questions import Question, ask_all
from db.turns import Moved, Place
from db.writes import Coming, Writes
from telemetry import metrics
from workers.debts import UNKNOWN, Debts, Number
from workers.recall import Recall
from workers.runtime import Runtime

Ints = npt.NDArray[np.int64]

PATIENCE = 5.0
"""Seconds to wait for the turn, or for a row that somebody else holds, before giving up."""
LEASES = 2
"""A turn lasts for so many leases, at most: whoever has stopped in the middle of one holds up the project no longer."""


class UndoneError(Exception):
    """The block of a turn wants nothing of what it has done to be kept."""


class OvertakenError(Exception):
    """The turn that was foreseen is another's by now, or what it was foreseen from may not be what is stored."""


Ask = Callable[[Sequence[Question[Any]]], list[Any]]


class Turn:
    """What one transaction moves of a project, while nobody else moves anything of it.

    Args:
        recall: what is remembered of the project, right as of the turn before; whoever writes also writes here.
        events: the last position of the project's feed so far.
        ask: what reads.
    """

    def __init__(self, project_id: int, recall: Recall, number: int, events: int, writes: Writes, ask: Ask) -> None:
        self.project_id = project_id
        self.recall = recall
        self.number = Number(number)
        """A foreseen one may become a higher one."""
        self.began = events
        self.events = events
        """The last position of the feed, those among them that this turn has given."""
        self.writes = writes
        """What is moved; Postgres does it while the work goes on."""
        self.challenges: list[Ints] = []
        """Ids of what this turn moves."""
        self.respondents: list[Ints] = []
        self.seen: list[Moved] = []
        """What this turn has to do with, moved or not."""
        self.before = recall.debts
        """Who was owed when it began."""
        self.debts = recall.debts
        """Who is owed, with what this turn owes and pays."""
        self.debt: Debt | None = None
        """What it has moved and not written."""
        self.pays = False
        """Whether it is to pay some of those who are owed."""
        recall.mark()
        self._ask = ask

    def read(self, *questions: Question[Any]) -> list[Any]:
        """What these find, asked together; whoever asks waits for what is still being written."""
        if not questions:
            return []
        self.writes.settle()
        return self._ask(questions)

    @property
    def moved(self) -> Moved:
        """What this turn moves."""
        return Moved(_all(self.challenges), _all(self.respondents))


class Taken(Turn):
    """A turn that is being had, in the transaction of a connection."""

    def __init__(self, connection: Connection, project_id: int, recall: Recall, number: int, events: int) -> None:
        super().__init__(project_id, recall, number, events, Writes(connection), partial(ask_all, connection))
        self._connection = connection

    @property
    def connection(self) -> Connection:
        """To work by; whoever asks for it waits for what is still being written."""
        self.writes.settle()
        return self._connection


@contextmanager
def taken(runtime: Runtime, project_id: int, *, patience: float = PATIENCE) -> Iterator[Taken]:
    """Wait for the project's turn and have it in the block, which ends with a commit.

    Raises:
        OperationalError: somebody has had it for `patience` seconds.
    """
    recall = None
    try:
        with _begun(runtime, project_id, patience) as (connection, place):
            recall = runtime.memory.of(project_id)
            _catch_up(connection, project_id, recall, place)
            turn = Taken(connection, project_id, recall, place.number, place.events)
            with turn.writes:
                yield turn
                _leave(turn, turn.writes, place)
    except BaseException:  # whatever became of the transaction: what is remembered may not be what is stored
        if recall is not None:
            recall.forget()
        raise
    recall.turn, recall.events, recall.debts = turn.number.value, turn.events, turn.debts
    recall.own.append(turn.number.value)
    metrics.EVENTS.inc(turn.events - turn.began)


class Foreseen:
    """A turn that is worked out from what is remembered, before it is known what others have moved meanwhile: while the
    one before is being stored, and then itself.

    It is right if whoever has had a turn meanwhile has moved nothing that it has to do with, and given no position.
    """

    def __init__(self, runtime: Runtime, turn: Turn, coming: Coming, epoch: int) -> None:
        self._runtime = runtime
        self._coming = coming
        self._epoch = epoch
        self._behind = turn.number.value - 1
        self._own = tuple(turn.recall.own)
        self._shelf = turn.recall.challenges
        self._others: Moved | None = None
        """What others have moved behind the turn before."""
        self.turn = turn
        self.sound = True
        """Whether it can still be right."""
        self.stored = False

    def store(self, last: Callable[[], None], before: "Foreseen | None" = None) -> None:
        """Take the turn and write what it moves, in one transaction; in another thread, if it is not worked out yet.

        Args:
            last: called when all is written, before the commit.
            before: the one behind which it is foreseen, which was to be stored since.

        Raises:
            OvertakenError: it is not right; nothing has changed.
            GivenUpError: it could not be worked out, likewise.
        """
        turn, own = self.turn, self._own
        if before is not None:
            if not before.stored:
                raise OvertakenError
            own = *own, before.turn.number.value
        with _begun(self._runtime, turn.project_id, PATIENCE) as (connection, place):
            others = turn_rows.between(connection, turn.project_id, self._behind, place.number, own)
            if others is None or others.owe or place.events != turn.began or self._epoch != self._runtime.server.epoch:
                raise OvertakenError
            turn.number.value, self._others = place.number, others
            if before is not None:  # what came before that one is forgotten with it, and may have been read anew since
                self._others = turn_rows.between(connection, turn.project_id, before.turn.number.value, place.number)
            with Writes(connection) as writes:
                self._coming.pass_on(writes)
                if _meet(others, turn.seen) or self._epoch != self._runtime.server.epoch:
                    raise OvertakenError
                _leave(turn, writes, place)
            last()
        self.stored = True
        metrics.EVENTS.inc(turn.events - turn.began)

    def settle(self) -> None:
        """It is stored: what is remembered is right as of it."""
        recall = self.turn.recall
        recall.turn = self.turn.number.value
        if recall.challenges is self._shelf:  # else what it has moved was forgotten
            recall.own.append(recall.turn)
        if self._others is not None:
            recall.overtaken(self._others)

    def give_up(self) -> None:
        """Whoever stores it need not wait for what is still to come: it will not be worked out to the end."""
        self._coming.give_up()

    def undo(self) -> None:
        """It is not stored, and nothing that was foreseen behind it is: forget what it was to move."""
        self.sound = False
        self.turn.recall.debts = self.turn.before
        moved = self.turn.moved
        self.turn.recall.drop(moved.challenges, moved.respondents)


@contextmanager
def foreseen(runtime: Runtime, project_id: int) -> Iterator[Foreseen | None]:
    """Work out the project's next turn in the block, beside which it may be stored already.

    None if nothing is remembered, or not who is owed.
    """
    epoch = runtime.server.epoch
    recall = runtime.memory.of(project_id)
    if recall.turn is None or not recall.debts.known:
        yield None
        return

    def ask(questions: Sequence[Question[Any]]) -> list[Any]:
        most = LEASES * runtime.settings.lease
        return transactions.ask_alone(runtime.engine, questions, transactions.BY_INDEX, most=most)

    coming = Coming()
    turn = Turn(project_id, recall, recall.turn + 1, recall.events, coming, ask)
    try:
        yield Foreseen(runtime, turn, coming, epoch)
        recall.events, recall.debts = turn.events, turn.debts
        coming.end()
    except BaseException:
        coming.give_up()
        recall.forget()
        raise


@contextmanager
def rehearsed(runtime: Runtime, project_id: int) -> Iterator[Taken]:
    """The same, but nothing is kept."""
    try:
        with taken(runtime, project_id) as turn:
            yield turn
            raise UndoneError
    except UndoneError:
        pass


@contextmanager
def _begun(runtime: Runtime, project_id: int, patience: float) -> Iterator[tuple[Connection, Place]]:
    """A transaction that has the project's turn."""
    lease = runtime.settings.lease
    with runtime.engine.begin() as connection:
        terms = transactions.bounds(idle=lease, lock=patience), transactions.BY_INDEX, transactions.ROOMY
        place = turn_rows.take(connection, project_id, most=LEASES * lease, terms=terms, server=runtime.server)
        yield connection, place


def _leave(turn: Turn, writes: Writes, place: Place) -> None:
    """What the turn has come to, which began at a place."""
    paid = max(place.paid, turn.debts.paid(place.number))
    if turn.debt is not None:
        paid = min(paid, place.number - 1)
    turn_rows.leave(writes, turn.project_id, Place(place.number, turn.events, paid), turn.moved, turn.debt)


def _catch_up(connection: Connection, project_id: int, recall: Recall, place: Place) -> None:
    """Forget what others have moved since."""
    if recall.turn is None or not len(recall):
        recall.turn, recall.debts = place.number - 1, UNKNOWN
    if recall.turn != place.number - 1:
        moved = turn_rows.between(connection, project_id, recall.turn, place.number)
        if moved is None:
            recall.forget()
        else:
            recall.overtaken(moved)
        recall.turn = place.number - 1
    if place.paid == place.number:
        recall.debts = Debts.none()


def _meet(others: Moved, seen: list[Moved]) -> bool:
    """Whether others have moved anything of this."""
    return any(
        bool(np.isin(theirs, ours).any())
        for mine in seen
        for theirs, ours in ((others.challenges, mine.challenges), (others.respondents, mine.respondents))
        if len(theirs)
    )


def _all(parts: list[Ints]) -> Ints:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])
