"""What is known of respondents while a transaction works: their statistics, read to infer with and then added to.

The invariant at every commit: S_j is the sum, over j's counted answers, of what the challenge is counted as: the stored
raw posterior, or for gold the class that it is known to be. It is the row with what is owed (`db/owed.py`). Nobody else
moves either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sqlalchemy import Connection
from torch import Tensor

from consensus.concealment import Veiled
from consensus.reliability import Skill
from db import owed as owed_rows
from db import statistics as statistics_rows
from db.columns import Lists
from db.errors import NotFoundError
from db.owed import Debt, Owed
from db.questions import Question, ask_all
from db.statistics import Counts
from db.turns import Moved
from workers.debts import Debts
from workers.distinct import distinct
from workers.scheme import Scheme, tensor
from workers.turns import Turn

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


MUCH = 1 << 22
"""Numbers in the statistics of those who are owed: of more, nobody is read before he is needed."""


@dataclass(frozen=True, slots=True)
class Standing:
    """J respondents, by id, and their statistics with and without what gold says."""

    ids: Ints
    veiled: Veiled
    answers: Ints
    """(J,) counted answers; `skips` likewise."""
    skips: Ints
    places: Ints
    """(J,) where they are on the shelf of what is remembered."""


@dataclass(frozen=True, slots=True)
class Move:
    """What a transaction adds to the statistics of J respondents."""

    clamped: Tensor
    """(J, width) with gold counted as it is known."""
    open: Tensor
    """(J, width) with gold counted as its answers say."""
    answers: Ints
    """(J,) counted answers more than before; `skips` likewise."""
    skips: Ints
    seen: npt.NDArray[np.bool_]
    """(J,) who are written even if nothing is added to them."""

    @property
    def reached(self) -> npt.NDArray[np.bool_]:
        """(J,) who are written or owed."""
        told: npt.NDArray[np.bool_] = self.clamped.any(1).cpu().numpy()
        if self.open is not self.clamped:
            told = told | self.open.any(1).cpu().numpy()
        return self.seen | told | (self.answers != 0) | (self.skips != 0)


def read(turn: Turn, scheme: Scheme, ids: Ints, device: torch.device) -> Standing:
    """The standing of respondents.

    Args:
        ids: (J,) ascending.

    Raises:
        NotFoundError: some do not exist.
    """
    shelf, places = turn.recall.respondents, _places(turn, scheme, ids)
    answers, skips = shelf.read("answers", places).astype(np.int64), shelf.read("skips", places).astype(np.int64)
    many = tensor(answers >= scheme.rules.score_answers, device)
    clamped, open_ = tensor(shelf.read("clamped", places), device), tensor(shelf.read("open", places), device)
    return Standing(ids, Veiled(clamped, open_, many), answers, skips, places)


def _places(turn: Turn, scheme: Scheme, ids: Ints) -> Ints:
    """Where respondents are remembered, those that are read now among them."""
    places = turn.recall.respondents.find(ids)
    if (places >= 0).all():
        return places
    missing = strangers(turn, ids)
    remember(turn, scheme, missing, *turn.read(*questions(turn, missing)))
    return turn.recall.respondents.find(ids)


def strangers(turn: Turn, ids: Ints) -> Ints:
    """Of respondents, those that are not remembered; in a turn that is to pay, if any of them may be owed, with all
    others who are owed and not remembered: what is owed can only be read as a whole, and whoever takes over a project
    needs most of it soon.

    Returns:
        Ids, ascending.
    """
    shelf = turn.recall.respondents
    missing = ids[shelf.find(ids) < 0]
    much = len(turn.debts) * turn.recall.width > MUCH
    if not turn.pays or much or not len(missing) or not turn.debts.touch(missing):
        return missing
    owed = turn.debts.ids
    return distinct(missing, owed[shelf.find(owed) < 0])


def questions(turn: Turn, ids: Ints) -> list[Question[Any]]:
    """What is to be asked of respondents who are not remembered, for `remember`."""
    owed = [owed_rows.question(turn.project_id)] if turn.debts.touch(ids) else []
    return [*owed, statistics_rows.query(ids).question]


def remember(turn: Turn, scheme: Scheme, ids: Ints, *found: Any) -> None:
    """Keep what was found out of respondents.

    Raises:
        NotFoundError: some do not exist.
    """
    *owed, rows = found
    held = Held.of(scheme, statistics_rows.counts(rows), *owed)
    if len(held.ids) != len(ids):
        raise NotFoundError(f"{len(ids) - len(held.ids)} of {len(ids)} respondents are not there")
    turn.recall.respondents.put(
        held.ids,
        clamped=held.clamped,
        open=held.open,
        answers=held.answers,
        skips=held.skips,
        owed=turn.debts.era * turn.debts.holds(held.ids),
    )


@dataclass(frozen=True, slots=True)
class Held:
    """What is stored of J respondents: their rows, with what is owed to them."""

    ids: Ints
    clamped: Floats
    """(J, width) in canonical order."""
    open: Floats
    """(J, width) without what gold says: the same array where it says nothing."""
    answers: Ints
    skips: Ints

    @classmethod
    def of(cls, scheme: Scheme, rows: Counts, owed: Sequence[Owed] = ()) -> "Held":
        """From rows, and all that turns owe."""
        clamped, answers, skips = scheme.statistics(rows.packed), rows.answers, rows.skips
        open_ = clamped - scheme.statistics(rows.gold) if rows.gold.by_length else clamped
        for some in owed:
            places = np.searchsorted(rows.ids, some.ids)
            here = np.flatnonzero(places < len(rows.ids))
            here = here[rows.ids[places[here]] == some.ids[here]]
            moves = here[rows.turn[places[here]] < some.number[here]]
            counts, gold, more, skipped = some.parts(moves, places[moves], len(rows.ids))
            added = scheme.statistics(Lists.equal(counts))
            clamped, open_ = clamped + added, open_ + (added - scheme.statistics(Lists.equal(gold)))
            answers, skips = answers + more, skips + skipped
        return cls(rows.ids, clamped, open_, answers, skips)

    def veiled(self, scheme: Scheme, device: torch.device) -> Veiled:
        """With and without what gold says."""
        clamped = tensor(self.clamped, device)
        many = tensor(self.answers >= scheme.rules.score_answers, device)
        return Veiled(clamped, clamped if self.open is self.clamped else tensor(self.open, device), many)


def look(connection: Connection, scheme: Scheme, project_id: int, ids: Ints) -> Held:
    """What is stored of respondents, outside of any turn; of those that do not exist nothing. Nothing is locked."""
    owed, rows = ask_all(connection, [owed_rows.question(project_id), statistics_rows.query(ids).question])
    return Held.of(scheme, statistics_rows.counts(rows), owed)


def after(scheme: Scheme, standing: Standing, move: Move, device: torch.device) -> Standing:
    """The standing after a move."""
    before = standing.veiled
    clamped, open_, answers = before.clamped + move.clamped, before.open + move.open, standing.answers + move.answers
    many = tensor(answers >= scheme.rules.score_answers, device)
    return Standing(standing.ids, Veiled(clamped, open_, many), answers, standing.skips + move.skips, standing.places)


def skill(scheme: Scheme, *statistics: Tensor) -> list[Skill]:
    """What the project's model says of respondents with each of these statistics (J, width)."""
    found = scheme.model.skill(torch.cat(statistics), scheme.prior, form=scheme.form)
    columns = torch.stack([found.accuracy, found.low, found.high])
    return [Skill(*some) for some in columns.split([len(some) for some in statistics], 1)]


def keep(turn: Turn, standing: Standing, move: Move) -> Ints:
    """Remember the standing after a move. Whom it has reached must be written or owed: their places among the J."""
    reached = np.flatnonzero(move.reached)
    rows = tensor(reached, standing.veiled.clamped.device)
    turn.recall.respondents.write(
        standing.places[reached],
        clamped=standing.veiled.clamped[rows].cpu().numpy(),
        open=standing.veiled.open[rows].cpu().numpy(),
        answers=standing.answers[reached],
        skips=standing.skips[reached],
    )
    turn.respondents.append(standing.ids[reached])
    return reached


def owe(turn: Turn, scheme: Scheme, standing: Standing, move: Move, reached: Ints) -> None:
    """Say with the turn how it has moved respondents, once in a turn, instead of writing their rows."""
    rows = tensor(reached, move.clamped.device)
    clamped, open_ = move.clamped[rows].cpu().numpy(), move.open[rows].cpu().numpy()
    ids, places, shelf = standing.ids[reached], standing.places[reached], turn.recall.respondents
    turn.debt = Debt.of(
        ids,
        scheme.coded_statistics(clamped),
        scheme.coded_statistics(clamped - open_),  # exact: all are sums on a grid
        move.answers[reached],
        move.skips[reached],
    )
    era = turn.debts.era
    turn.debts = turn.debts.owe(turn.number, ids[shelf.read("owed", places) != era])
    shelf.write(places, owed=np.full(len(places), era))


def due(turn: Turn, scheme: Scheme, count: int) -> Ints:
    """Ids of so many who have waited longest, or of all, ascending: they must be written in this turn."""
    ids, left = turn.debts.due(count)
    _places(turn, scheme, ids)  # while it is known that they are owed
    turn.debts = left
    turn.seen.append(Moved(np.empty(0, dtype=np.int64), ids))
    return ids


def adopt(turn: Turn) -> None:
    """Look after who is owed in this turn, and find out who it is, where that is not known."""
    turn.pays = True
    if not turn.debts.known:
        (owing,) = turn.read(owed_rows.who(turn.project_id))
        turn.debts = Debts.of(owing)


def write(turn: Turn, scheme: Scheme, standing: Standing, skill: Skill) -> None:
    """Write rows as they are remembered: nothing is owed to these respondents any more."""
    if not len(standing.ids):
        return
    known, shown = standing.veiled.clamped.cpu().numpy(), standing.veiled.open.cpu().numpy()
    statistics_rows.write(
        turn.writes,
        turn.project_id,
        standing.ids,
        scheme.coded_statistics(known),
        scheme.coded_statistics(known - shown),  # exact: all are sums on a grid
        answers=standing.answers,
        skips=standing.skips,
        accuracy=skill.accuracy.cpu().numpy(),
        low=skill.low.cpu().numpy(),
        high=skill.high.cpu().numpy(),
    )
    turn.recall.respondents.write(standing.places, owed=np.zeros(len(standing.ids), dtype=np.int64))


def pay(turn: Turn, scheme: Scheme, count: int, device: torch.device) -> int:
    """Pay so many who have waited longest, or all; how many are left."""
    adopt(turn)
    turn.recall.suit(scheme)
    stands = read(turn, scheme, due(turn, scheme, count), device)
    write(turn, scheme, stands, *skill(scheme, stands.veiled.clamped))
    return len(turn.debts)


def add(turn: Turn, scheme: Scheme, standing: Standing, move: Move, device: torch.device) -> None:
    """Add to statistics, which were read in this turn, and write them."""
    reached = keep(turn, after(scheme, standing, move, device), move)
    stands = read(turn, scheme, standing.ids[reached], device)
    write(turn, scheme, stands, *skill(scheme, stands.veiled.clamped))
