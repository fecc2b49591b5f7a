"""Respondents' statistics: read without a lock to grade with, then locked in id order to add to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from db.errors import NotFoundError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Counts:
    """Statistics of respondents, by id."""

    ids: Ints
    """(J,) ascending."""
    packed: list[list[float]]
    """Packed counts of each; empty before the first answer, of an older width before classes were added."""
    gold: list[list[float]]
    """What of the counts is there because gold is clamped, likewise; empty where nothing is."""
    answers: Ints
    """(J,) counted answers."""


def read(connection: Connection, ids: Sequence[int], *, lock: bool = False) -> Counts:
    """Read statistics; with `lock` the rows are locked, in id order."""
    query = text(
        "SELECT respondent_id, counts, gold, answers FROM respondent_statistics"
        " WHERE respondent_id = ANY(CAST(:ids AS bigint[]))"
        f" ORDER BY respondent_id {'FOR UPDATE' if lock else ''}"
    )
    rows = connection.execute(query, {"ids": sorted(ids)}).all()
    return Counts(
        np.array([row.respondent_id for row in rows], dtype=np.int64),
        [row.counts for row in rows],
        [row.gold for row in rows],
        np.array([row.answers for row in rows], dtype=np.int64),
    )


_WRITE = text("""
UPDATE respondent_statistics s SET
    counts = t.counts, answers = s.answers + t.change, skips = s.skips + t.skips,
    accuracy = t.accuracy, low = t.low, high = t.high, updated_at = now()
FROM (
    SELECT id, change, skips, accuracy, low, high,
           (CAST(:counts AS float8[]))[(place - 1) * :width + 1 : place * :width] AS counts
    FROM unnest(
        CAST(:ids AS bigint[]), CAST(:change AS int[]), CAST(:skips AS int[]), CAST(:accuracy AS float8[]),
        CAST(:low AS float8[]), CAST(:high AS float8[])
    ) WITH ORDINALITY AS u(id, change, skips, accuracy, low, high, place)
) t WHERE s.respondent_id = t.id
""")


def write(
    connection: Connection,
    ids: Ints,
    packed: Floats,
    *,
    change: Ints,
    skips: Ints,
    accuracy: Floats,
    low: Floats,
    high: Floats,
) -> None:
    """Put new statistics in the place of those of locked respondents.

    Args:
        ids: (J,) respondents whose locks are held.
        packed: (J, width) new counts.
        change: (J,) counted answers more than before; `skips` likewise.
        accuracy: (J,) expected accuracy, with `low` and `high` its 95 % interval.
    """
    written = connection.execute(
        _WRITE,
        {
            "ids": ids.tolist(),
            "counts": packed.ravel().tolist(),
            "width": packed.shape[1],
            "change": change.tolist(),
            "skips": skips.tolist(),
            "accuracy": accuracy.tolist(),
            "low": low.tolist(),
            "high": high.tolist(),
        },
    ).rowcount
    if written != len(ids):
        raise NotFoundError(f"{len(ids) - written} of {len(ids)} respondents are not there")


def write_gold(connection: Connection, ids: Ints, packed: Floats) -> None:
    """Put what gold adds to the counts of locked respondents in the place of what it added before: (J, width)."""
    connection.execute(
        text("""
            UPDATE respondent_statistics s SET gold = CASE WHEN t.present THEN t.gold ELSE '{}' END
            FROM (
                SELECT id, present,
                       (CAST(:gold AS float8[]))[(place - 1) * :width + 1 : place * :width]
                FROM unnest(CAST(:ids AS bigint[]), CAST(:present AS boolean[]))
                WITH ORDINALITY AS u(id, present, place)
            ) t(id, present, gold) WHERE s.respondent_id = t.id
        """),
        {
            "ids": ids.tolist(),
            "present": packed.any(axis=1).tolist(),
            "gold": packed.ravel().tolist(),
            "width": packed.shape[1],
        },
    )
