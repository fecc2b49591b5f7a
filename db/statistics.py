"""Respondents' statistics: reading and writing whole sets of rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    """(J,) counted answers; `skips` likewise."""
    skips: Ints
    turn: Ints
    """(J,) as of which that is right: what turns behind it owe (`db.owed`) is to be added."""


def query(ids: Ints) -> Query:
    """For what is stored of respondents; those that do not exist are left out."""
    command = (
        "SELECT respondent_id, counts, gold, answers, skips, turn FROM respondent_statistics"
        " WHERE respondent_id = ANY(%(ids)s) ORDER BY respondent_id"
    )
    return Query(command, {"ids": ids}, numbers="respondent_id answers skips turn", lists="counts gold")


def counts(found: Columns) -> Counts:
    """What the query has found."""
    answers, skips = found.numbers["answers"].astype(np.int64), found.numbers["skips"].astype(np.int64)
    lists = found.lists["counts"], found.lists["gold"]
    return Counts(found.numbers["respondent_id"], *lists, answers, skips, found.numbers["turn"])


_WRITE = Update(
    """
UPDATE respondent_statistics SET
    counts = (CAST(:counts AS float8[]))[(place - 1) * :width + 1 : place * :width],
    gold = CASE WHEN (CAST(:clamped AS boolean[]))[place]
        THEN (CAST(:gold AS float8[]))[(place - 1) * :width + 1 : place * :width] ELSE '{}'
    END,
    answers = (CAST(:answers AS int[]))[place], skips = (CAST(:skips AS int[]))[place],
    accuracy = (CAST(:accuracy AS float8[]))[place], low = (CAST(:low AS float8[]))[place],
    high = (CAST(:high AS float8[]))[place], updated_at = now(),
    turn = (SELECT number FROM turns WHERE project_id = :project)
FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS t(id, place) WHERE respondent_id = id""",
    "respondent_id",
)


def write(
    writes: Writes,
    project_id: int,
    ids: Ints,
    packed: Floats,
    gold: Floats,
    *,
    answers: Ints,
    skips: Ints,
    accuracy: Floats,
    low: Floats,
    high: Floats,
) -> None:
    """Put statistics as of this turn, which must be their project's, in the place of those that are stored.

    Args:
        ids: (J,) respondents.
        packed: (J, width) new counts.
        gold: (J, width) what of them is there because gold is clamped.
        answers: (J,) counted answers; `skips` likewise.
        accuracy: (J,) expected accuracy, with `low` and `high` its 95 % interval.

    When the writes are settled, NotFoundError is raised if some do not exist.
    """

    def check(written: int) -> None:
        if written != len(ids):
            raise NotFoundError(f"{len(ids) - written} of {len(ids)} respondents are not there")

    _WRITE.send(
        writes,
        {
            "project": project_id,
            "ids": ids,
            "counts": packed,
            "gold": gold,
            "clamped": gold.any(axis=1),
            "width": packed.shape[1],
            "answers": answers.astype(np.int32),
            "skips": skips.astype(np.int32),
            "accuracy": accuracy,
            "low": low,
            "high": high,
        },
        check,
    )
