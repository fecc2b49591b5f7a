"""Turns: one transaction at a time moves a project's posteriors and statistics.

Two that did so at once would wait for each other's challenges and respondents, and each would read and write the same
respondents for itself. In turns, each knows whether anybody has moved anything since its own last turn: what a process
remembers of a project spares it most of the reading.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from db import transactions
from db import turns as turn_rows
from db.turns import Moved
from db.writes import Writes
from telemetry import metrics
from workers.recall import Recall
from workers.runtime import Runtime

Ints = npt.NDArray[np.int64]

PATIENCE = 5.0
"""Seconds to wait for the turn, or for a row that somebody else holds, before giving up."""
LEASES = 2
"""A turn lasts for so many leases, at most: whoever has stopped in the middle of one holds up the project no longer."""


class UndoneError(Exception):
    """The block of a turn wants nothing of what it has done to be kept."""


class Turn:
    """A transaction that alone may move the project's posteriors and statistics.

    Args:
        recall: what is remembered of the project, right as of now; whoever writes also writes here.
    """

    def __init__(self, connection: Connection, project_id: int, recall: Recall, events: int) -> None:
        self._connection = connection
        self.project_id = project_id
        self.recall = recall
        self.events = events
        """The last position of the project's feed, those among them that this turn has given."""
        self.writes = Writes(connection)
        """What is moved; Postgres does it while the work goes on."""
        self.challenges: list[Ints] = []
        """Ids of what this turn moves."""
        self.respondents: list[Ints] = []

    @property
    def connection(self) -> Connection:
        """The transaction's; whoever asks for it waits for what is still being written."""
        self.writes.settle()
        return self._connection


@contextmanager
def taken(runtime: Runtime, project_id: int, *, patience: float = PATIENCE) -> Iterator[Turn]:
    """Wait for the project's turn and have it in the block, which ends with a commit.

    Raises:
        OperationalError: somebody has had it for `patience` seconds.
    """
    recall, lease = None, runtime.settings.lease
    try:
        with runtime.engine.begin() as connection:
            bounds = transactions.bounds(idle=lease, lock=patience)
            transactions.adopt(connection, bounds, transactions.BY_INDEX)
            number, events = turn_rows.take(connection, project_id, most=LEASES * lease)
            recall = runtime.memory.of(project_id)
            _catch_up(connection, project_id, recall, number)
            turn = Turn(connection, project_id, recall, events)
            with turn.writes:
                yield turn
                moved = Moved(_all(turn.challenges), _all(turn.respondents))
                turn_rows.leave(turn.writes, project_id, number, turn.events, moved)
    except BaseException:  # whatever became of the transaction: what is remembered may not be what is stored
        if recall is not None:
            recall.forget()
        raise
    recall.turn = number
    metrics.EVENTS.inc(turn.events - events)


@contextmanager
def rehearsed(runtime: Runtime, project_id: int) -> Iterator[Turn]:
    """The same, but nothing is kept."""
    try:
        with taken(runtime, project_id) as turn:
            yield turn
            raise UndoneError
    except UndoneError:
        pass


def _catch_up(connection: Connection, project_id: int, recall: Recall, number: int) -> None:
    """Forget what others have moved since."""
    if recall.turn is None or not len(recall):
        recall.turn = number - 1
    if recall.turn == number - 1:
        return
    moved = turn_rows.between(connection, project_id, recall.turn, number)
    if moved is None:
        recall.forget()
    else:
        recall.challenges.drop(moved.challenges)
        recall.respondents.drop(moved.respondents)
    recall.turn = number - 1


def _all(parts: list[Ints]) -> Ints:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])
