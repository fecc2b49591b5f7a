"""Whom a project's turns owe statistics: first come, first paid, so slowly that most who are moved again are paid once.

Nobody reads what is owed while the worker that owes it remembers the respondents: it is paid from what is remembered.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count as counter

import numpy as np
import numpy.typing as npt

from workers.distinct import distinct

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MOVES = 1 << 18
"""Moves in whose time everybody is paid: 10^5 respondents that are moved at random, two of seven times."""
LEAST = 64
"""Respondents that a turn pays, if so many are owed."""
HURRY = 4096
"""Whom a turn pays in a hurry."""
BLOCK, SPAN = 4096, 16
"""Respondents that are looked after together, from which or after so many turns the next ones are so."""


_eras = counter(1)


@dataclass(slots=True)
class Number:
    """Of a turn, which may become a higher one until it is taken."""

    value: int


@dataclass(frozen=True, slots=True)
class Block:
    """Respondents who may be owed by a turn or some behind it, and by none before."""

    turn: Number
    ids: Ints
    """Ascending."""
    turns: int = 1
    """How many turns these are."""

    @property
    def closed(self) -> bool:
        """Whether those who are owed from now on do not belong here."""
        return len(self.ids) >= BLOCK or self.turns >= SPAN

    def owe(self, ids: Ints) -> "Block":
        """With those of another turn, ascending."""
        return replace(self, ids=distinct(self.ids, ids), turns=self.turns + 1)

    def without(self, ids: Ints) -> "Block":
        """But for these, ascending."""
        return replace(self, ids=self.ids[~_are_in(ids, self.ids)])


@dataclass(frozen=True, slots=True)
class Debts:
    """Who is owed as of a turn."""

    queue: tuple[Block, ...] = ()
    """By turn. Who was forgotten meanwhile may be in more than one."""
    known: bool = True
    """Whether that is all; else anybody may be owed."""
    era: int = 0
    """Since nothing was owed or known: who is remembered as owed in another one is not."""

    @classmethod
    def none(cls) -> "Debts":
        """Nobody is owed anything."""
        return cls(era=next(_eras))

    @classmethod
    def of(cls, owing: Iterable[tuple[int, Ints]]) -> "Debts":
        """From turns that owe, ascending, and whom they have moved."""
        debts, turns = cls.none(), list(owing)
        if turns:
            sizes = [len(ids) for _, ids in turns]
            ids, first = np.unique(np.concatenate([ids for _, ids in turns]), return_index=True)
            place = np.repeat(np.arange(len(turns)), sizes)[first]
            for each in np.unique(place).tolist():
                debts = debts.owe(Number(turns[each][0]), ids[place == each])
        return debts

    def __len__(self) -> int:
        return sum(len(block.ids) for block in self.queue)

    @property
    def ids(self) -> Ints:
        """Whoever is owed, as far as is known; ascending."""
        return distinct(np.empty(0, dtype=np.int64), *(block.ids for block in self.queue))

    def touch(self, ids: Ints) -> bool:
        """Whether any of these may be owed."""
        return not self.known or bool(self.holds(ids).any())

    def holds(self, ids: Ints) -> Bools:
        """Which of these are owed, as far as is known."""
        found = np.zeros(len(ids), dtype=bool)
        for owed in [self.ids] if len(ids) > BLOCK else [block.ids for block in self.queue]:
            found |= _are_in(owed, ids)
        return found

    def owe(self, turn: Number, ids: Ints) -> "Debts":
        """With what a turn owes to respondents, ascending, who were not owed; of what is not known nothing is kept."""
        if not len(ids) or not self.known:
            return self
        *before, last = self.queue or (None,)
        if last is None or last.closed:
            return replace(self, queue=(*self.queue, Block(turn, ids)))
        return replace(self, queue=(*before, last.owe(ids)))

    def pace(self, moved: int, *, hurried: bool = False) -> int:
        """How many a turn pays that moves so many.

        Args:
            hurried: whoever is owed may be forgotten soon.
        """
        return HURRY if hurried else max(LEAST, len(self) * moved // MOVES)

    def due(self, count: int) -> tuple[Ints, "Debts"]:
        """So many, or all, who have waited longest, ascending; and who is left."""
        due, queue = [np.empty(0, dtype=np.int64)], list(self.queue)
        while queue and count:
            first = queue.pop(0)
            due.append(first.ids[:count])
            if len(first.ids) > count:
                queue.insert(0, replace(first, ids=first.ids[count:]))
            count -= len(due[-1])
        return distinct(*due), replace(self, queue=tuple(queue))

    def without(self, ids: Ints) -> "Debts":
        """But for some whose rows are right."""
        if not self.queue or not len(ids):
            return self
        ids = distinct(ids)
        rest = (block.without(ids) for block in self.queue)
        return replace(self, queue=tuple(block for block in rest if len(block.ids)))

    def paid(self, number: int) -> int:
        """The last turn, up to the one of this number, up to which nothing is owed any more, as far as is known."""
        if not self.known:
            return 0
        return self.queue[0].turn.value - 1 if self.queue else number


UNKNOWN = Debts(known=False)


def _are_in(ascending: Ints, ids: Ints) -> Bools:
    """Which of the ids are among others."""
    if not len(ascending):
        return np.zeros(len(ids), dtype=bool)
    places = np.minimum(np.searchsorted(ascending, ids), len(ascending) - 1)
    found: Bools = ascending[places] == ids
    return found
