"""Versions of verdicts: written with the change that makes them, in its transaction."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import text

from db.models.challenge import STATUSES
from db.models.verdict import CAUSES
from db.writes import Writes

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NewVersions:
    """A version of each of I locked challenges' verdicts."""

    challenge_ids: Ints
    versions: Ints
    answer: Ints
    """Class code, -1 for none."""
    posterior: Floats
    """(I, K) by class code."""
    confidence: Floats
    status: Ints
    """Places in `STATUSES`, and of the causes in `CAUSES`."""
    cause: Ints
    answers: Ints
    skips: Ints
    digest: Ints
    """Of the counted answers, whatever their order."""


_APPEND = text("""
WITH written AS (
    INSERT INTO verdicts (challenge_id, version, answer, posterior, confidence, status, cause, answers, skips,
                          input_digest, model_run_id, configuration_id)
    SELECT id, version, nullif(answer, -1),
           (CAST(:posterior AS real[]))[(place - 1) * :classes + 1 : place * :classes],
           confidence, (CAST(:statuses AS text[]))[status + 1], (CAST(:causes AS text[]))[cause + 1],
           answers, skips, digest, :run, :configuration
    FROM unnest(
        CAST(:ids AS bigint[]), CAST(:versions AS int[]), CAST(:answer AS smallint[]), CAST(:confidence AS float8[]),
        CAST(:status AS smallint[]), CAST(:cause AS smallint[]), CAST(:answers AS int[]), CAST(:skips AS int[]),
        CAST(:digest AS bigint[])
    ) WITH ORDINALITY AS u(id, version, answer, confidence, status, cause, answers, skips, digest, place)
)
INSERT INTO outbox (project_id, challenge_ids, versions)
VALUES (:project, CAST(:ids AS bigint[]), CAST(:versions AS int[]))
""")


def append(
    writes: Writes, project_id: int, new: NewVersions, *, run_id: int | None, configuration_id: int | None
) -> None:
    """Write versions, and note them in the outbox: once committed, the feed's sequencer finds them there."""
    if not len(new.challenge_ids):
        return
    writes.send(
        _APPEND,
        {
            "project": project_id,
            "ids": new.challenge_ids,
            "versions": new.versions.astype(np.int32),
            "answer": new.answer.astype(np.int16),
            "posterior": new.posterior.astype(np.float32),
            "classes": new.posterior.shape[1],
            "confidence": new.confidence,
            "status": new.status.astype(np.int16),
            "statuses": list(STATUSES),
            "cause": new.cause.astype(np.int16),
            "causes": list(CAUSES),
            "answers": new.answers.astype(np.int32),
            "skips": new.skips.astype(np.int32),
            "digest": new.digest,
            "run": run_id,
            "configuration": configuration_id,
        },
    )
