"""From the bodies of claimed batches to columns: decoding, and names to ids."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from db import answers as answer_rows
from db import bodies, projects
from db.answers import AnswerColumns
from db.bodies import AnswerBody
from db.claims import ClaimedBatch
from db.consensus import Rows
from db.models.answer import SKIP, UNTIMED
from db.projects import Grading
from telemetry import crashpoints
from workers.runtime import Runtime

Ints = npt.NDArray[np.int64]

T = TypeVar("T")

_UNKNOWN = SKIP - 1


class MissingPayloadError(Exception):
    """The body of the batch is gone."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """N answers of claimed batches that are still to be graded."""

    bodies: list[AnswerBody]
    batch_id: Ints
    position: Ints
    accepted_at: Ints
    """Microseconds since 1970 at which the batch was accepted."""

    def without(self, answers: Collection[tuple[int, int]]) -> "Waiting":
        """All but these, each named by batch and position."""
        if not answers:
            return self
        pairs = zip(self.batch_id.tolist(), self.position.tolist(), strict=True)
        kept = np.array([pair not in answers for pair in pairs], dtype=bool)
        return Waiting(
            [body for body, keep in zip(self.bodies, kept.tolist(), strict=True) if keep],
            self.batch_id[kept],
            self.position[kept],
            self.accepted_at[kept],
        )


@dataclass(frozen=True, slots=True)
class Intake:
    """The new answers of a claim, ready to be graded."""

    columns: AnswerColumns
    accepted_at: Ints
    """Microseconds since 1970 at which their batches were accepted."""
    duration_ms: Ints
    sessions: dict[int, str]
    """By index of the answer, where the client named one."""
    rejected: dict[int, list[tuple[int, str]]]
    """By batch id: position and reason of answers that no class can be found for."""
    new_challenges: Ints
    """Those that were made for these answers, ascending."""
    new_respondents: Ints
    """Likewise."""
    rows: Rows | None
    """Of challenges that were not, as of `db.identities.Ids`."""
    grading: Grading
    """How the project is graded, with all classes that these answers name."""
    epoch: int
    """Of the server: in another one the ids may be nobody's."""


def take(
    runtime: Runtime, grading: Grading, batches: Sequence[ClaimedBatch], left_out: Collection[tuple[int, int]] = ()
) -> Intake:
    """The answers of batches that are to be graded, without some that are named by batch and position.

    Raises:
        MissingPayloadError: a body is gone.
        msgspec.MsgspecError: a body is not what the edge accepted.
    """
    waiting = decode(runtime.engine, batches).without(left_out)
    taken = _resolve(runtime, _with_classes(runtime, grading, waiting.bodies), waiting)
    crashpoints.reach("grade-resolved")
    return taken


def decode(engine: Engine, batches: Sequence[ClaimedBatch]) -> Waiting:
    """Every answer of these batches that is neither graded nor rejected yet.

    Raises:
        MissingPayloadError: a body is gone.
        msgspec.MsgspecError: a body is not what the edge accepted.
    """
    found: list[AnswerBody] = []
    counts = []
    for batch in batches:
        if batch.body is None:
            raise MissingPayloadError(f"the body of batch {batch.uid} is gone")
        some = bodies.decode(batch.body, batch.media_type)
        found += some
        counts.append(len(some))
    waiting = Waiting(
        found,
        np.repeat(_ints([batch.id for batch in batches]), counts),
        np.arange(len(found)) - np.repeat(np.cumsum(counts) - counts, counts),
        np.repeat(_ints([_microseconds(batch.accepted_at) for batch in batches]), counts),
    )
    in_part = [batch.id for batch in batches if batch.done or batch.rejected]
    if not in_part:
        return waiting
    with engine.begin() as connection:
        return waiting.without(answer_rows.settled_positions(connection, in_part))


def _resolve(runtime: Runtime, grading: Grading, waiting: Waiting) -> Intake:
    """Names to ids and classes to codes. Commits new names: they are true whatever becomes of the claim."""
    epoch = runtime.server.epoch
    codes: dict[str | None, int] = {key: code for code, key in enumerate(grading.classes)} | {None: SKIP}
    choice = _ints(list(map(codes.get, [body.answer for body in waiting.bodies], repeat(_UNKNOWN))))
    rejected: dict[int, list[tuple[int, str]]] = {}
    bad = np.flatnonzero(choice == _UNKNOWN)
    for index in bad.tolist():
        reason = f'answer: "{waiting.bodies[index].answer}" is not one of the project\'s {len(grading.classes)} classes'
        rejected.setdefault(int(waiting.batch_id[index]), []).append((int(waiting.position[index]), reason))
    if len(bad):
        waiting = waiting.without(set(zip(waiting.batch_id[bad].tolist(), waiting.position[bad].tolist(), strict=True)))
        choice = np.delete(choice, bad)
    good = waiting.bodies
    challenges, respondents = [body.challenge for body in good], [body.respondent for body in good]
    ids = runtime.keys.resolve(grading.project_id, challenges, respondents)
    columns = AnswerColumns(
        batch_id=waiting.batch_id,
        position=waiting.position,
        challenge_id=ids.challenge,
        respondent_id=ids.respondent,
        choice=choice,
        answered_at=_answered_at(waiting),
        counted=np.zeros(len(good), dtype=bool),
    )
    durations = np.full(len(good), UNTIMED, dtype=np.int64)
    for index, duration in _given([body.duration_ms for body in good]):
        durations[index] = duration
    sessions = dict(_given([body.session for body in good]))
    return Intake(
        columns,
        waiting.accepted_at,
        durations,
        sessions,
        rejected,
        ids.new_challenges,
        ids.new_respondents,
        ids.rows,
        grading,
        epoch,
    )


def _with_classes(runtime: Runtime, grading: Grading, answers: Sequence[AnswerBody]) -> Grading:
    """The same with all classes that these answers name, if there may be more. Commits new ones, likewise."""
    if not grading.classes_open or len(grading.classes) >= grading.max_classes:
        return grading
    met = {body.answer for body in answers if body.answer is not None}
    if met <= set(grading.classes):
        return grading
    with runtime.bounded() as connection:
        projects.append_classes(connection, grading.project_id, sorted(met))
        return projects.grading(connection, grading.project_id)


def _answered_at(waiting: Waiting) -> Ints:
    """When respondents answered; where the client did not say, when the batch was accepted."""
    moments = waiting.accepted_at.copy()
    for index, moment in _given([body.answered_at for body in waiting.bodies]):
        moments[index] = _microseconds(moment)
    return moments


def _given(values: Sequence[T | None]) -> list[tuple[int, T]]:
    """What is there, with its place: often nothing, and then this costs next to nothing."""
    if values.count(None) == len(values):
        return []
    return [(place, value) for place, value in enumerate(values) if value is not None]


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)
