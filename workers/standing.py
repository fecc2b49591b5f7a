"""What is known of respondents while a transaction works: their statistics, read to infer with and then added to.

The invariant at every commit: S_j is the sum, over j's counted answers, of what the challenge is counted as: the stored
raw posterior, or for gold the class that it is known to be. `after` and `store` are the one place that could break it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from consensus.concealment import Veiled
from consensus.reliability import Skill
from db import statistics as statistics_rows
from db.errors import NotFoundError
from db.statistics import Counts
from workers.scheme import Scheme, tensor
from workers.turns import Turn

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Standing:
    """J respondents, by id, and their statistics with and without what gold says."""

    ids: Ints
    veiled: Veiled
    answers: Ints
    """(J,) counted answers when it was read."""
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
    """(J,) whose rows are written even if nothing is added to them."""

    @property
    def reached(self) -> npt.NDArray[np.bool_]:
        """(J,) whose rows are written."""
        told: npt.NDArray[np.bool_] = self.clamped.any(1).cpu().numpy()
        if self.open is not self.clamped:
            told = told | self.open.any(1).cpu().numpy()
        return self.seen | told | (self.answers != 0) | (self.skips != 0)


@dataclass(frozen=True, slots=True)
class After:
    """What a transaction makes of the standing that it has read."""

    standing: Standing
    move: Move
    places: Ints
    """Of those among the J respondents whose rows are written."""
    clamped: Tensor
    """Their statistics."""


def read(turn: Turn, scheme: Scheme, ids: Ints, device: torch.device) -> Standing:
    """The standing of respondents.

    Args:
        ids: (J,) ascending.

    Raises:
        NotFoundError: some do not exist.
    """
    shelf = turn.recall.respondents
    places = shelf.find(ids)
    unknown = places < 0
    missing = ids[unknown]
    if len(missing):
        (found,) = turn.read(statistics_rows.query(missing))
        places[unknown] = remember(turn, scheme, missing, statistics_rows.counts(found))
    answers = shelf.read("answers", places).astype(np.int64)
    many = tensor(answers >= scheme.rules.score_answers, device)
    clamped, open_ = tensor(shelf.read("clamped", places), device), tensor(shelf.read("open", places), device)
    return Standing(ids, Veiled(clamped, open_, many), answers, places)


def remember(turn: Turn, scheme: Scheme, ids: Ints, held: Counts) -> Ints:
    """Keep what was read of respondents; where that is.

    Raises:
        NotFoundError: some do not exist.
    """
    if len(held.ids) != len(ids):
        raise NotFoundError(f"{len(ids) - len(held.ids)} of {len(ids)} respondents are not there")
    clamped, open_ = _unveiled(scheme, held)
    return turn.recall.respondents.put(held.ids, clamped=clamped, open=open_, answers=held.answers)


def veiled(scheme: Scheme, held: Counts, device: torch.device) -> Veiled:
    """Statistics as they were read, with and without what gold says."""
    read, read_open = _unveiled(scheme, held)
    clamped = tensor(read, device)
    many = tensor(held.answers >= scheme.rules.score_answers, device)
    return Veiled(clamped, clamped if read_open is read else tensor(read_open, device), many)


def _unveiled(scheme: Scheme, held: Counts) -> tuple[Floats, Floats]:
    """(J, width) statistics as they were read, and without what gold says: the same array where it says nothing."""
    clamped = scheme.statistics(held.packed)
    return clamped, clamped - scheme.statistics(held.gold) if held.gold.by_length else clamped


def after(scheme: Scheme, standing: Standing, move: Move, device: torch.device) -> After:
    """The standing after a move."""
    before = standing.veiled
    clamped, open_, answers = before.clamped + move.clamped, before.open + move.open, standing.answers + move.answers
    places = np.flatnonzero(move.reached)
    many = tensor(answers >= scheme.rules.score_answers, device)
    stands = Standing(standing.ids, Veiled(clamped, open_, many), answers, standing.places)
    return After(stands, move, places, clamped.index_select(0, tensor(places, device)))


def skill(scheme: Scheme, *statistics: Tensor) -> list[Skill]:
    """What the project's model says of respondents with each of these statistics (J, width)."""
    found = scheme.model.skill(torch.cat(statistics), scheme.prior, form=scheme.form)
    columns = torch.stack([found.accuracy, found.low, found.high])
    return [Skill(*some) for some in columns.split([len(some) for some in statistics], 1)]


def store(turn: Turn, scheme: Scheme, after: After, skill: Skill) -> None:
    """Write the statistics that have moved; they were read in this turn."""
    stands, places = after.standing, after.places
    ids = stands.ids[places]
    known, shown = after.clamped.cpu().numpy(), stands.veiled.open.cpu().numpy()[places]
    statistics_rows.write(
        turn.writes,
        ids,
        scheme.coded_statistics(known),
        scheme.coded_statistics(known - shown),  # exact: all are sums on a grid
        change=after.move.answers[places],
        skips=after.move.skips[places],
        accuracy=skill.accuracy.cpu().numpy(),
        low=skill.low.cpu().numpy(),
        high=skill.high.cpu().numpy(),
    )
    turn.recall.respondents.write(stands.places[places], clamped=known, open=shown, answers=stands.answers[places])
    turn.respondents.append(ids)


def add(turn: Turn, scheme: Scheme, standing: Standing, move: Move, device: torch.device) -> None:
    """Add to statistics, which were read in this turn."""
    found = after(scheme, standing, move, device)
    store(turn, scheme, found, *skill(scheme, found.clamped))
