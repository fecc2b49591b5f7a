"""What a process remembers of projects from one turn to the next, so that it need not read it again.

It is right as of a turn. Whoever takes the turn behind that one may use it as it is; if others were in between, what
they have moved is forgotten first (`workers/turns.py`). Nothing here is ever the only copy.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from db.answers import RECORD
from db.models.challenge import STATUSES
from db.projects import Grading
from db.server import Server
from db.turns import Moved
from workers import scheme
from workers.debts import UNKNOWN, Debts, Number
from workers.distinct import distinct
from workers.scheme import Scheme
from workers.shelf import Shelf

Ints = npt.NDArray[np.int64]

CHALLENGES = 1 << 18
"""Challenges of one project that are remembered, at most: some 300 bytes each."""
ANSWERS = 1 << 28
"""Bytes of answers to them, at most, besides those of the last claims; the memory for them is up to twice as large."""
RESPONDENTS = 1 << 18
"""Respondents likewise: twice their statistics, and 150 bytes."""
OWN = 8
"""More than there are between making a claim and working it out."""
ROOM = 1 << 28
"""Bytes of such rows of one project, at most; and LEAST of them, however many bytes: a claim may need so many."""
LEAST = 1 << 12
TOTAL = 3 << 28
"""Bytes that are remembered of all projects; the one that was longest not asked for is forgotten first."""


def _challenges(classes: int) -> Shelf:
    """Its own row is that of a challenge that was just made; so it is with respondents."""
    nothing, none = np.zeros(classes), np.array(-1, dtype=np.int16)
    return Shelf(
        _most(CHALLENGES, classes),
        {"packed": RECORD},
        ANSWERS,
        revision=np.array(0),
        raw=nothing,
        posterior=nothing,
        counted_as=none,
        gold=none,
        answer=none,
        status=np.array(STATUSES.index("open"), dtype=np.int8),
        version=np.array(0, dtype=np.int32),
        reported=np.array(np.nan),
    )


def _respondents(width: int) -> Shelf:
    nothing, none = np.zeros(width), np.array(0, dtype=np.int32)
    most = _most(RESPONDENTS, width)
    return Shelf(most, clamped=nothing, open=nothing, answers=none, skips=none, owed=np.array(0))


def _most(rows: int, width: int) -> int:
    """How many there is room for, of two numbers in each of `width` columns and little else."""
    return min(rows, max(LEAST, ROOM // (16 * max(width, 1))))


@dataclass(slots=True)
class Recall:
    """What is remembered of one project: columns of challenges as in `workers.locked.Locked`, and of respondents."""

    keys: tuple[str, ...] = ()
    """The classes in canonical order that all of it is in."""
    width: int = 0
    """Of respondents' statistics."""
    turn: int | None = None
    """As of which it is right, apart from what this process has foreseen."""
    events: int = 0
    """The last position of the project's feed, those that were foreseen among them."""
    own: deque[int] = field(default_factory=lambda: deque(maxlen=OWN))
    """This process's last turns whose moves are remembered."""
    challenges: Shelf = field(default_factory=lambda: _challenges(0))
    respondents: Shelf = field(default_factory=lambda: _respondents(0))
    debts: Debts = UNKNOWN
    """Who is owed what rows of statistics do not say yet."""
    plan: Scheme | None = None

    def scheme(self, grading: Grading, device: torch.device) -> Scheme:
        """The project's scheme: the one it had the last time, unless something in the grading has changed.

        Raises:
            UnknownModelError: the project's model is not known to this release.
        """
        if self.plan is None or self.plan.grading != grading or self.plan.device != device:
            self.plan = scheme.make(grading, device)
        return self.plan

    def suits(self, scheme: Scheme) -> bool:
        """Whether it is of the scheme's classes."""
        return (scheme.keys, scheme.width) == (self.keys, self.width)

    def suit(self, scheme: Scheme) -> None:
        """Be of the scheme's classes; what is remembered of others is forgotten.

        No turn may be in the middle of its commit: the next one must not read what that one has moved.
        """
        if not self.suits(scheme):
            self._clear(scheme.keys, scheme.width)

    def forget(self) -> None:
        """Remember nothing."""
        self._clear((), 0)
        self.debts = UNKNOWN
        self.turn = None

    def mark(self) -> None:
        """A turn begins; what the one before has moved is remembered until it ends."""
        self.challenges.mark()
        self.respondents.mark()

    def _clear(self, keys: tuple[str, ...], width: int) -> None:
        self.keys, self.width = keys, width
        self.challenges, self.respondents = _challenges(len(keys)), _respondents(width)
        self.own.clear()

    def overtaken(self, moved: Moved) -> None:
        """Forget what others have moved behind this process's last turn. Unless they owe it, these rows are right."""
        self.drop(moved.challenges, moved.respondents)
        if moved.owe and self.turn is not None:
            self.debts = self.debts.owe(Number(self.turn + 1), distinct(moved.respondents))
        else:
            self.debts = self.debts.without(moved.respondents)

    def drop(self, challenges: Ints, respondents: Ints) -> None:
        """Forget these rows."""
        self.challenges.drop(challenges)
        self.respondents.drop(respondents)

    def __len__(self) -> int:
        return len(self.challenges) + len(self.respondents)

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.challenges.nbytes + self.respondents.nbytes


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a process had come with a project."""

    epoch: int
    """Of the server."""
    turn: int | None
    """Of its last turn; None if it remembers nothing."""


class Memory:
    """What a process remembers of each project.

    A server that takes over may lack the last commits of the one before, and give their turns' numbers to others: in
    another epoch everything is forgotten.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._projects: dict[int, Recall] = {}
        self._epoch = server.epoch

    def of(self, project_id: int) -> Recall:
        """What is remembered of a project; to be asked for with the connection in hand that it is used with."""
        if self._epoch != self._server.epoch:
            self._epoch = self._server.epoch
            self._projects.clear()
        if next(reversed(self._projects), None) == project_id:  # the last of them was asked for last
            return self._projects[project_id]
        found = self._projects.pop(project_id, None) or Recall()
        while self._projects and found.nbytes + sum(each.nbytes for each in self._projects.values()) > TOTAL:
            del self._projects[next(iter(self._projects))]
        self._projects[project_id] = found
        return found

    def moment(self, project_id: int) -> Moment:
        """How far this process has come with a project; to be asked for as `of`."""
        return Moment(self._server.epoch, self.of(project_id).turn)

    def alone_since(self, project_id: int, moment: Moment) -> bool:
        """Whether between that moment and the last turn that is remembered nobody else has had one of the project, and
        whatever this process has moved in its own is remembered."""
        recall = self.of(project_id)
        if moment.turn is None or recall.turn is None or moment.epoch != self._server.epoch:
            return False
        return set(range(moment.turn + 1, recall.turn + 1)) <= set(recall.own)
