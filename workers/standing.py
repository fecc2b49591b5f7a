"""What is known of respondents while a transaction works: their statistics, read to infer with and then added to.

The invariant at every commit: S_j is the sum, over j's counted answers, of what the challenge is counted as: the stored
raw posterior, or for gold the class that it is known to be. `add` is the one place that could break it.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from sqlalchemy import Connection
from torch import Tensor

from consensus.concealment import Veiled
from db import statistics as statistics_rows
from db.errors import NotFoundError
from db.statistics import Counts
from workers.scheme import Scheme, tensor

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Standing:
    """J respondents, by id, and their statistics with and without what gold says."""

    ids: Ints
    veiled: Veiled
    answers: Ints
    """(J,) counted answers when it was read."""
    versions: Ints
    """(J,) of the rows it was read from."""

    def select(self, places: Ints) -> "Standing":
        """Of some of them."""
        where, veiled = torch.from_numpy(places).to(self.veiled.many.device), self.veiled
        some = Veiled(veiled.clamped[where], veiled.open[where], veiled.many[where])
        return Standing(self.ids[places], some, self.answers[places], self.versions[places])

    def put(self, places: Ints, others: Veiled) -> "Standing":
        """With these statistics of those at `places`."""
        where, veiled = torch.from_numpy(places).to(self.veiled.many.device), self.veiled
        pairs = (veiled.clamped, others.clamped), (veiled.open, others.open), (veiled.many, others.many)
        return replace(self, veiled=Veiled(*(table.index_copy(0, where, rows) for table, rows in pairs)))


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

    def select(self, places: Ints) -> "Move":
        """Of some of them."""
        where = torch.from_numpy(places).to(self.clamped.device)
        mine = self.answers[places], self.skips[places], self.seen[places]
        return Move(self.clamped[where], self.open[where], *mine)


def read(connection: Connection, scheme: Scheme, ids: Ints, device: torch.device, *, lock: bool = False) -> Standing:
    """The standing of respondents, which others may change meanwhile; with `lock` they cannot."""
    held = statistics_rows.read(connection, ids, lock=lock)
    return Standing(held.ids, veiled(scheme, held, device), held.answers, held.versions)


def veiled(scheme: Scheme, held: Counts, device: torch.device) -> Veiled:
    """Statistics as they were read, with and without what gold says."""
    clamped = tensor(scheme.statistics(held.packed), device)
    many = tensor(held.answers >= scheme.rules.score_answers, device)
    if not held.gold.by_length:
        return Veiled(clamped, clamped, many)
    return Veiled(clamped, clamped - tensor(scheme.statistics(held.gold), device), many)


def add(connection: Connection, scheme: Scheme, standing: Standing, move: Move, device: torch.device) -> Standing:
    """Add to statistics; the standing after. Those that others have moved since they were read are read again, locked.

    To be called late: whoever shares a respondent waits from here until the end of the transaction.

    Raises:
        NotFoundError: some of the respondents do not exist.
    """
    places = np.flatnonzero(move.reached)
    before = standing.select(places)
    after, late = _write(connection, scheme, before, move.select(places), device)
    standing = standing.put(places, after)
    if late.any():
        again = read(connection, scheme, before.ids[late], device, lock=True)
        if len(again.ids) < late.sum():
            raise NotFoundError(f"{late.sum() - len(again.ids)} of {len(places)} respondents are not there")
        after, _ = _write(connection, scheme, again, move.select(places[late]), device)
        standing = standing.put(places[late], after)
    return standing


def _write(
    connection: Connection, scheme: Scheme, before: Standing, move: Move, device: torch.device
) -> tuple[Veiled, npt.NDArray[np.bool_]]:
    """What comes of adding `move` to all of these, and which of them others have moved so that it was not written."""
    clamped, open_ = before.veiled.clamped + move.clamped, before.veiled.open + move.open
    reliability = scheme.model.reliability(clamped, scheme.prior, form=scheme.form)
    late = statistics_rows.write(
        connection,
        before.ids,
        before.versions,
        scheme.coded_statistics(clamped.cpu().numpy()),
        scheme.coded_statistics((clamped - open_).cpu().numpy()),  # exact: all are sums on a grid
        change=move.answers,
        skips=move.skips,
        accuracy=reliability.accuracy.cpu().numpy(),
        low=reliability.low.cpu().numpy(),
        high=reliability.high.cpu().numpy(),
    )
    many = tensor(before.answers + move.answers >= scheme.rules.score_answers, device)
    return Veiled(clamped, open_, many), late
