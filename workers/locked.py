"""Challenges whose locks a transaction holds, with everything that is known of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from db import answers as answer_rows
from db import consensus as consensus_rows
from db.answers import AnswerColumns
from db.errors import NotFoundError
from workers.scheme import Scheme

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Locked:
    """I challenges, the N answers to them, and the J respondents who gave these."""

    ids: Ints
    """(I,) challenges, ascending."""
    revisions: Ints
    """(I,)"""
    raw: Floats
    """(I, K) what statistics count of them, in canonical order."""
    posterior: Floats
    """(I, K) what is published, in canonical order."""
    counted_as: Ints
    """(I,) canonical place of the class that statistics count gold as, -1 where they count the raw posterior."""
    gold: Ints
    """(I,) what they are to count from now on."""
    answer: Ints
    """(I,) canonical place, -1 for none."""
    status: Words
    version: Ints
    reported: Floats
    """(I,) confidence of the version, NaN before the first."""
    answers: AnswerColumns
    """All answers to these challenges, skips among them; those that are not stored yet come last."""
    item: Ints
    """(N,) place of each answer's challenge in `ids`."""
    respondents: Ints
    """(J,) ids, ascending."""
    annotator: Ints
    """(N,) place of each answer's respondent in `respondents`."""


def lock(
    connection: Connection,
    scheme: Scheme,
    challenge_ids: Ints,
    new: AnswerColumns | None = None,
    *,
    wait: bool = True,
) -> Locked:
    """Lock challenges in id order, then read their answers: nobody can add one until this transaction ends.

    Args:
        new: answers to them that are not stored yet.
        wait: for challenges that others hold; else they are left out, and so are the new answers to them.

    Raises:
        NotFoundError: with `wait`, some do not exist.
    """
    rows = consensus_rows.lock(connection, challenge_ids, wait=wait)
    if wait and len(rows.ids) != len(challenge_ids):
        raise NotFoundError(f"{len(challenge_ids) - len(rows.ids)} of {len(challenge_ids)} challenges are not there")
    may_be_gold = scheme.grading.has_gold or bool((rows.gold >= 0).any())  # the first may have come since
    known = consensus_rows.gold(connection, rows.ids) if may_be_gold else {}
    answers = answer_rows.of_challenges(connection, rows.ids)
    if new is not None:
        answers = answer_rows.join(answers, new.select(np.isin(new.challenge_id, rows.ids)))
    respondents, annotator = np.unique(answers.respondent_id, return_inverse=True)
    return Locked(
        rows.ids,
        rows.revisions,
        scheme.posteriors(rows.raw),
        scheme.posteriors(rows.posteriors),
        scheme.places(rows.gold),
        scheme.places(np.array([known.get(row, -1) for row in rows.ids.tolist()], dtype=np.int64)),
        scheme.places(rows.answer),
        rows.status,
        rows.version,
        rows.reported,
        answers,
        np.searchsorted(rows.ids, answers.challenge_id),
        respondents,
        annotator,
    )
