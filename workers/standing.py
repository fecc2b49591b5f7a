"""What is known of respondents while a transaction works: their statistics, read to infer with and then added to.

The invariant at every commit: S_j is the sum, over j's counted answers, of what the challenge is counted as: the stored
raw posterior, or for gold the class that it is known to be. `add` is the one place that could break it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from consensus.concealment import Veiled
from db import statistics as statistics_rows
from db.errors import NotFoundError
from db.statistics import Counts
from workers.scheme import Scheme, tensor
from workers.turns import Turn

Ints = npt.NDArray[np.int64]


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
        told: npt.NDArray[np.bool_] = ((self.clamped != 0) | (self.open != 0)).any(1).cpu().numpy()
        return self.seen | told | (self.answers != 0) | (self.skips != 0)


def read(turn: Turn, scheme: Scheme, ids: Ints, device: torch.device) -> Standing:
    """The standing of respondents.

    Args:
        ids: (J,) ascending.

    Raises:
        NotFoundError: some do not exist.
    """
    shelf = turn.recall.respondents
    places = shelf.find(ids)
    missing = ids[places < 0]
    if len(missing):
        held = statistics_rows.read(turn.connection, missing)
        if len(held.ids) != len(missing):
            raise NotFoundError(f"{len(missing) - len(held.ids)} of {len(ids)} respondents are not there")
        clamped = scheme.statistics(held.packed)
        open_ = clamped - scheme.statistics(held.gold)
        shelf.put(held.ids, clamped=clamped, open=open_, answers=held.answers)
        places = shelf.find(ids)
    answers = shelf.read("answers", places).astype(np.int64)
    many = tensor(answers >= scheme.rules.score_answers, device)
    clamped, open_ = tensor(shelf.read("clamped", places), device), tensor(shelf.read("open", places), device)
    return Standing(ids, Veiled(clamped, open_, many), answers, places)


def veiled(scheme: Scheme, held: Counts, device: torch.device) -> Veiled:
    """Statistics as they were read, with and without what gold says."""
    clamped = tensor(scheme.statistics(held.packed), device)
    many = tensor(held.answers >= scheme.rules.score_answers, device)
    if not held.gold.by_length:
        return Veiled(clamped, clamped, many)
    return Veiled(clamped, clamped - tensor(scheme.statistics(held.gold), device), many)


def add(turn: Turn, scheme: Scheme, standing: Standing, move: Move, device: torch.device) -> Standing:
    """Add to statistics, which were read in this turn; the standing after."""
    before = standing.veiled
    clamped, open_, answers = before.clamped + move.clamped, before.open + move.open, standing.answers + move.answers
    places = np.flatnonzero(move.reached)
    ids, where = standing.ids[places], torch.from_numpy(places).to(device)
    known, shown = clamped[where], open_[where]
    reliability = scheme.model.skill(known, scheme.prior, form=scheme.form)
    statistics_rows.write(
        turn.writes,
        ids,
        scheme.coded_statistics(known.cpu().numpy()),
        scheme.coded_statistics((known - shown).cpu().numpy()),  # exact: all are sums on a grid
        change=move.answers[places],
        skips=move.skips[places],
        accuracy=reliability.accuracy.cpu().numpy(),
        low=reliability.low.cpu().numpy(),
        high=reliability.high.cpu().numpy(),
    )
    remembered = {"clamped": known.cpu().numpy(), "open": shown.cpu().numpy(), "answers": answers[places]}
    turn.recall.respondents.write(standing.places[places], **remembered)
    turn.respondents.append(ids)
    many = tensor(answers >= scheme.rules.score_answers, device)
    return Standing(standing.ids, Veiled(clamped, open_, many), answers, standing.places)
