"""From the bodies of claimed batches to columns: decoding, and names to ids."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from db import answers as answer_rows
from db import bodies, identities, projects, transactions
from db.answers import AnswerColumns
from db.bodies import AnswerBody
from db.claims import ClaimedBatch
from db.models.answer import SKIP
from db.projects import Grading

Ints = npt.NDArray[np.int64]


class MissingPayloadError(Exception):
    """The body of the batch is gone."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One answer of a claimed batch that is still to be graded."""

    batch: ClaimedBatch
    position: int
    body: AnswerBody


@dataclass(frozen=True, slots=True)
class Intake:
    """The new answers of a claim, ready to be graded."""

    columns: AnswerColumns
    duration_ms: Ints
    sessions: dict[int, str]
    """By index of the answer, where the client named one."""
    rejected: dict[int, list[tuple[int, str]]]
    """By batch id: position and reason of answers that no class can be found for."""
    grading: Grading
    """The project with the classes that this intake has appended."""


def decode(engine: Engine, batches: Sequence[ClaimedBatch]) -> list[Waiting]:
    """Every answer of these batches that is neither graded nor rejected yet.

    Raises:
        MissingPayloadError: a body is gone.
        msgspec.MsgspecError: a body is not what the edge accepted.
    """
    waiting: list[Waiting] = []
    partial = [batch.id for batch in batches if batch.rejected or batch.done]
    with engine.connect() as connection:
        settled = answer_rows.settled_positions(connection, partial) if partial else set()
    for batch in batches:
        if batch.body is None:
            raise MissingPayloadError(f"the body of batch {batch.uid} is gone")
        for position, body in enumerate(bodies.decode(batch.body, batch.media_type)):
            if (batch.id, position) not in settled:
                waiting.append(Waiting(batch, position, body))
    return waiting


def resolve(engine: Engine, grading: Grading, waiting: Sequence[Waiting]) -> Intake:
    """Names to ids and classes to codes. Commits new names and classes: they are true whatever becomes of the claim."""
    grading = _with_classes(engine, grading, waiting)
    codes: dict[str | None, int] = {key: code for code, key in enumerate(grading.classes)} | {None: SKIP}
    rejected: dict[int, list[tuple[int, str]]] = {}
    good: list[Waiting] = []
    for answer in waiting:
        if answer.body.answer in codes:
            good.append(answer)
        else:
            reason = f'answer: "{answer.body.answer}" is not one of the project\'s {len(grading.classes)} classes'
            rejected.setdefault(answer.batch.id, []).append((answer.position, reason))
    with engine.begin() as connection:
        transactions.look_up(connection)
        challenges = identities.challenges(connection, grading.project_id, [a.body.challenge for a in good])
        respondents = identities.respondents(connection, grading.project_id, [a.body.respondent for a in good])
    columns = AnswerColumns(
        batch_id=_ints([a.batch.id for a in good]),
        position=_ints([a.position for a in good]),
        challenge_id=_ints([challenges[a.body.challenge] for a in good]),
        respondent_id=_ints([respondents[a.body.respondent] for a in good]),
        choice=_ints([codes[a.body.answer] for a in good]),
        answered_at=_ints([_microseconds(a) for a in good]),
        counted=np.zeros(len(good), dtype=bool),
    )
    durations = _ints([-1 if a.body.duration_ms is None else a.body.duration_ms for a in good])
    sessions = {index: a.body.session for index, a in enumerate(good) if a.body.session is not None}
    return Intake(columns, durations, sessions, rejected, grading)


def _with_classes(engine: Engine, grading: Grading, waiting: Sequence[Waiting]) -> Grading:
    if not grading.classes_open or len(grading.classes) >= grading.max_classes:
        return grading
    met = {answer.body.answer for answer in waiting if answer.body.answer is not None}
    if met <= set(grading.classes):
        return grading
    with engine.begin() as connection:
        projects.append_classes(connection, grading.project_id, sorted(met))
        return projects.grading(connection, grading.project_id)


def _microseconds(answer: Waiting) -> int:
    """When the respondent answered; when the client did not say, when the batch was accepted."""
    moment = answer.body.answered_at or answer.batch.accepted_at
    return round(moment.timestamp() * 1_000_000)


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)
