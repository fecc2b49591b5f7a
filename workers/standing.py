"""What is known of respondents while a transaction works: their statistics, read to infer with and then added to.

The invariant at every commit: S_j is the sum, over j's counted answers, of what the challenge is counted as: the stored
raw posterior, or for gold the class that it is known to be. `add` is the one place that could break it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sqlalchemy import Connection
from torch import Tensor

from consensus.concealment import Veiled
from db import statistics as statistics_rows
from db.statistics import Counts
from workers.scheme import Scheme, tensor

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Standing:
    """J respondents, by id, and their statistics with and without what gold says."""

    ids: Ints
    veiled: Veiled


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


def read(connection: Connection, scheme: Scheme, ids: Ints, device: torch.device) -> Standing:
    """The standing of respondents, which others may change meanwhile."""
    held = statistics_rows.read(connection, ids)
    return Standing(held.ids, veiled(scheme, held, device))


def veiled(scheme: Scheme, held: Counts, device: torch.device) -> Veiled:
    """Statistics as they were read, with and without what gold says."""
    clamped = tensor(scheme.statistics(held.packed), device)
    many = tensor(held.answers >= scheme.rules.score_answers, device)
    if not held.gold.by_length:
        return Veiled(clamped, clamped, many)
    return Veiled(clamped, clamped - tensor(scheme.statistics(held.gold), device), many)


def add(connection: Connection, scheme: Scheme, standing: Standing, move: Move, device: torch.device) -> Standing:
    """Add to statistics under their locks, others having moved them perhaps since they were read; the standing after.

    To be called late: whoever shares a respondent waits from here until the end of the transaction.
    """
    reached = move.reached
    places = tensor(np.flatnonzero(reached), device)
    held = statistics_rows.read(connection, standing.ids[reached], lock=True)
    statistics = tensor(scheme.statistics(held.packed), device) + move.clamped[places]
    gold = tensor(scheme.statistics(held.gold), device) + (move.clamped - move.open)[places]
    answers, skips = move.answers[reached], move.skips[reached]
    reliability = scheme.model.reliability(statistics, scheme.prior, form=scheme.form)
    statistics_rows.write(
        connection,
        held.ids,
        scheme.coded_statistics(statistics.cpu().numpy()),
        scheme.coded_statistics(gold.cpu().numpy()),
        change=answers,
        skips=skips,
        accuracy=reliability.accuracy.cpu().numpy(),
        low=reliability.low.cpu().numpy(),
        high=reliability.high.cpu().numpy(),
    )
    before = standing.veiled
    many = tensor(held.answers + answers >= scheme.rules.score_answers, device)
    return Standing(
        standing.ids,
        Veiled(
            before.clamped.index_copy(0, places, statistics),
            before.open.index_copy(0, places, statistics - gold),
            before.many.index_copy(0, places, many),
        ),
    )
