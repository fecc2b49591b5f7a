"""Challenges of a project, in its turn, with everything that is known of them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from db import answers as answer_rows
from db import consensus as consensus_rows
from db.answers import AnswerColumns
from db.consensus import Rows
from db.errors import NotFoundError
from db.pieces import Pieces
from db.questions import Question
from db.turns import Moved
from workers import standing
from workers.distinct import distinct
from workers.scheme import Scheme
from workers.turns import Turn

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Locked:
    """I challenges, the N answers to them, and the J respondents who gave these."""

    ids: Ints
    """(I,) challenges, ascending."""
    places: Ints
    """(I,) where they are on the shelf of what is remembered."""
    revision: Ints
    """(I,)"""
    raw: Floats
    """(I, K) what statistics count of them, in canonical order."""
    posterior: Floats
    """(I, K) what is published, in canonical order."""
    counted_as: Ints
    """(I,) canonical place of the class that statistics count gold as, -1 where they count the raw posterior."""
    gold: Ints
    """(I,) what they are to count from now on: what gold said when they were read. A regrade follows what has changed
    since."""
    answer: Ints
    """(I,) canonical place, -1 for none."""
    status: Ints
    """(I,) place in `db.models.challenge.STATUSES`."""
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


def lock(turn: Turn, scheme: Scheme, challenge_ids: Ints, new: AnswerColumns | None = None) -> Locked:
    """What is known of challenges: nobody can change it until the turn ends.

    Args:
        challenge_ids: (I,) ascending.
        new: answers to them that are not stored yet.

    Raises:
        NotFoundError: some do not exist.
    """
    turn.recall.suit(scheme)
    shelf = turn.recall.challenges
    places = _read(turn, scheme, challenge_ids, new)
    stored = shelf.lists("packed", places)
    answers, item = answer_rows.unpack(challenge_ids, stored), np.arange(len(places)).repeat(stored.sizes)
    if new is not None:
        answers = answer_rows.join(answers, new)
        item = np.append(item, np.searchsorted(challenge_ids, new.challenge_id))
    respondents, annotator = np.unique(answers.respondent_id, return_inverse=True)
    turn.seen.append(Moved(challenge_ids, respondents))
    return Locked(
        challenge_ids,
        places,
        shelf.read("revision", places),
        shelf.read("raw", places),
        shelf.read("posterior", places),
        shelf.read("counted_as", places).astype(np.int64),
        shelf.read("gold", places).astype(np.int64),
        shelf.read("answer", places).astype(np.int64),
        shelf.read("status", places).astype(np.int64),
        shelf.read("version", places).astype(np.int64),
        shelf.read("reported", places),
        answers,
        item,
        respondents,
        annotator,
    )


def expect(turn: Turn, challenges: Ints, respondents: Ints) -> None:
    """Remember challenges and respondents, by ids, of whom nothing is stored: they were made for this turn.

    This process must have been alone with the project since then (`Memory.alone_since`): its own turns cannot have met
    them, as only the first claim to name one makes it. Whether somebody has moved them behind the last turn that is
    remembered is found out when this one is stored, as of all that it has to do with.
    """
    for shelf, ids in ((turn.recall.challenges, challenges), (turn.recall.respondents, respondents)):
        if len(ids):
            shelf.put(ids[shelf.find(ids) < 0])


def recognise(turn: Turn, scheme: Scheme, rows: Rows) -> None:
    """Remember challenges that were read before this turn, since when this process was alone, likewise.

    Those that its own turns have moved since are remembered, unless some were forgotten for want of room.
    """
    shelf = turn.recall.challenges
    if shelf.pressed or not len(rows.ids):
        return
    strange = shelf.find(rows.ids) < 0
    if strange.any():
        shelf.put(rows.ids[strange], **{name: column[strange] for name, column in _columns(scheme, rows).items()})


def packed(locked: Locked, counted: Bools) -> Pieces:
    """The answers to each challenge as they are stored with it, when these of the N count."""
    short = locked.item.astype(np.uint16) if len(locked.ids) <= 1 << 16 else locked.item  # sorted by digits
    order = np.argsort(short, kind="stable")
    sizes = np.bincount(locked.item, minlength=len(locked.ids))
    return answer_rows.pack(replace(locked.answers, counted=counted), order, sizes)


def _read(turn: Turn, scheme: Scheme, ids: Ints, new: AnswerColumns | None) -> Ints:
    """Places of challenges on the shelf.

    What is not remembered is read, and of respondents with new answers as well, all of it together.
    """
    places = turn.recall.challenges.find(ids)
    unknown = places < 0
    missing = ids[unknown]
    strangers = np.empty(0, dtype=np.int64)
    if new is not None:
        strangers = standing.strangers(turn, distinct(new.respondent_id))
    asked: list[Question[Any]] = [consensus_rows.query(missing).question] if len(missing) else []
    asked += standing.questions(turn, strangers) if len(strangers) else []
    found = iter(turn.read(*asked))
    if len(missing):
        places[unknown] = _remember(turn, scheme, missing, consensus_rows.rows(next(found)))
    if len(strangers):
        standing.remember(turn, scheme, strangers, *found)
    return places


def _remember(turn: Turn, scheme: Scheme, ids: Ints, rows: Rows) -> Ints:
    """Keep what was read of challenges; where that is."""
    if len(rows.ids) != len(ids):
        raise NotFoundError(f"{len(ids) - len(rows.ids)} of {len(ids)} challenges are not there")
    return turn.recall.challenges.put(rows.ids, **_columns(scheme, rows))


def _columns(scheme: Scheme, rows: Rows) -> dict[str, npt.NDArray[Any] | Pieces]:
    """Challenges as the shelf has them."""
    return {
        "revision": rows.revision,
        "raw": scheme.posteriors(rows.raw),
        "posterior": scheme.posteriors(rows.posterior),
        "counted_as": scheme.places(rows.counted_as),
        "gold": scheme.places(rows.gold),
        "answer": scheme.places(rows.answer),
        "status": rows.status,
        "version": rows.version,
        "reported": rows.reported,
        "packed": rows.packed,
    }
