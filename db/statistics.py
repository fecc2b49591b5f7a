"""Respondents' statistics: read without a lock to grade with, then written where nobody else has written since."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from db import columns
from db.columns import Lists

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
    versions: Ints
    """(J,) which transaction wrote the row: PostgreSQL's xmin."""


def read(connection: Connection, ids: Ints, *, lock: bool = False) -> Counts:
    """Read statistics; with `lock` the rows are locked, in id order."""
    query = (
        "SELECT respondent_id, counts, gold, answers, xmin::text::bigint AS version FROM respondent_statistics"
        f" WHERE respondent_id = ANY(%(ids)s) ORDER BY respondent_id {'FOR UPDATE' if lock else ''}"
    )
    numbers = "respondent_id answers version"
    found, lists = columns.select(connection, query, {"ids": ids}, numbers=numbers, lists="counts gold")
    answers = found["answers"].astype(np.int64)
    return Counts(found["respondent_id"], lists["counts"], lists["gold"], answers, found["version"])


_WRITE = text("""
WITH written AS (
    UPDATE respondent_statistics s SET
        counts = t.counts, gold = CASE WHEN t.clamped THEN t.gold ELSE '{}' END,
        answers = s.answers + t.change, skips = s.skips + t.skips,
        accuracy = t.accuracy, low = t.low, high = t.high, updated_at = now()
    FROM (
        SELECT id, version, change, skips, accuracy, low, high, clamped,
               (CAST(:counts AS float8[]))[(place - 1) * :width + 1 : place * :width] AS counts,
               (CAST(:gold AS float8[]))[(place - 1) * :width + 1 : place * :width] AS gold
        FROM unnest(
            CAST(:ids AS bigint[]), CAST(:versions AS bigint[]), CAST(:change AS int[]), CAST(:skips AS int[]),
            CAST(:accuracy AS float8[]), CAST(:low AS float8[]), CAST(:high AS float8[]), CAST(:clamped AS boolean[])
        ) WITH ORDINALITY AS u(id, version, change, skips, accuracy, low, high, clamped, place)
    ) t WHERE s.respondent_id = t.id AND s.xmin::text::bigint = t.version
    RETURNING s.respondent_id
)
SELECT coalesce(array_agg(respondent_id), '{}') FROM written
""")


def write(
    connection: Connection,
    ids: Ints,
    versions: Ints,
    packed: Floats,
    gold: Floats,
    *,
    change: Ints,
    skips: Ints,
    accuracy: Floats,
    low: Floats,
    high: Floats,
) -> npt.NDArray[np.bool_]:
    """Put new statistics in the place of those that were read, where nobody has written since.

    Args:
        ids: (J,) respondents, with the `versions` of their rows as they were read.
        packed: (J, width) new counts.
        gold: (J, width) what of them is there because gold is clamped.
        change: (J,) counted answers more than before; `skips` likewise.
        accuracy: (J,) expected accuracy, with `low` and `high` its 95 % interval.

    Returns:
        (J,) whose rows others have written meanwhile; these are as they were.
    """
    written = connection.execute(
        _WRITE,
        {
            "ids": ids,
            "versions": versions,
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
    ).scalar_one()
    late: npt.NDArray[np.bool_] = ~np.isin(ids, written)
    return late
