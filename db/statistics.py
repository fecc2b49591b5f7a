"""Respondents' statistics: reading and writing whole sets of rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from db import columns
from db.columns import Columns, Lists, Query
from db.errors import NotFoundError
from db.updates import Update
from db.writes import Writes

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Counts:
    """Statistics of respondents, by id."""

    ids: Ints
    """(J,) ascending."""
    packed: Lists
    """Packed counts of each; empty before the first answer, of an older width before classes were added."""
    gold: Lists
    """What of the counts is there because gold is clamped, likewise; empty where nothing is."""
    answers: Ints
    """(J,) counted answers."""


def query(ids: Ints) -> Query:
    """For what is stored of respondents; those that do not exist are left out."""
    command = (
        "SELECT respondent_id, counts, gold, answers FROM respondent_statistics"
        " WHERE respondent_id = ANY(%(ids)s) ORDER BY respondent_id"
    )
    return Query(command, {"ids": ids}, numbers="respondent_id answers", lists="counts gold")


def counts(found: Columns) -> Counts:
    """What the query has found."""
    answers = found.numbers["answers"].astype(np.int64)
    return Counts(found.numbers["respondent_id"], found.lists["counts"], found.lists["gold"], answers)


def read(connection: Connection, ids: Ints) -> Counts:
    """Read statistics; of respondents that do not exist nothing."""
    return counts(columns.select_all(connection, [query(ids)])[0])


_WRITE = Update(
    """
UPDATE respondent_statistics s SET
    counts = t.counts, gold = CASE WHEN t.clamped THEN t.gold ELSE '{}' END,
    answers = s.answers + t.change, skips = s.skips + t.skips,
    accuracy = t.accuracy, low = t.low, high = t.high, updated_at = now()
FROM (
    SELECT id, change, skips, accuracy, low, high, clamped,
           (CAST(:counts AS float8[]))[(place - 1) * :width + 1 : place * :width] AS counts,
           CASE WHEN clamped THEN (CAST(:gold AS float8[]))[(place - 1) * :width + 1 : place * :width] END AS gold
    FROM unnest(
        CAST(:ids AS bigint[]), CAST(:change AS int[]), CAST(:skips AS int[]),
        CAST(:accuracy AS float8[]), CAST(:low AS float8[]), CAST(:high AS float8[]), CAST(:clamped AS boolean[])
    ) WITH ORDINALITY AS u(id, change, skips, accuracy, low, high, clamped, place)
) t WHERE s.respondent_id = t.id""",
    "s.respondent_id",
)


def write(
    writes: Writes,
    ids: Ints,
    packed: Floats,
    gold: Floats,
    *,
    change: Ints,
    skips: Ints,
    accuracy: Floats,
    low: Floats,
    high: Floats,
) -> None:
    """Put new statistics in the place of those that are stored; this must be their project's turn.

    Args:
        ids: (J,) respondents.
        packed: (J, width) new counts.
        gold: (J, width) what of them is there because gold is clamped.
        change: (J,) counted answers more than before; `skips` likewise.
        accuracy: (J,) expected accuracy, with `low` and `high` its 95 % interval.

    When the writes are settled, NotFoundError is raised if some do not exist.
    """

    def check(written: int) -> None:
        if written != len(ids):
            raise NotFoundError(f"{len(ids) - written} of {len(ids)} respondents are not there")

    _WRITE.send(
        writes,
        {
            "ids": ids,
            "counts": packed,
            "gold": gold,
            "clamped": gold.any(axis=1),
            "width": packed.shape[1],
            "change": change.astype(np.int32),
            "skips": skips.astype(np.int32),
            "accuracy": accuracy,
            "low": low,
            "high": high,
        },
        check,
    )
