"""Versions of verdicts: written with the change that makes them, in its transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

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
    status: Sequence[str]
    cause: Sequence[str]
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
           confidence, status, cause, answers, skips, digest, :run, :configuration
    FROM unnest(
        CAST(:ids AS bigint[]), CAST(:versions AS int[]), CAST(:answer AS smallint[]), CAST(:confidence AS float8[]),
        CAST(:status AS text[]), CAST(:cause AS text[]), CAST(:answers AS int[]), CAST(:skips AS int[]),
        CAST(:digest AS bigint[])
    ) WITH ORDINALITY AS u(id, version, answer, confidence, status, cause, answers, skips, digest, place)
)
INSERT INTO outbox (project_id, challenge_ids, versions) VALUES (:project, :ids, :versions)
""")


def append(
    connection: Connection, project_id: int, new: NewVersions, *, run_id: int | None, configuration_id: int | None
) -> None:
    """Write versions, and note them in the outbox: once committed, the feed's sequencer finds them there."""
    if not len(new.challenge_ids):
        return
    connection.execute(
        _APPEND,
        {
            "project": project_id,
            "ids": new.challenge_ids.tolist(),
            "versions": new.versions.tolist(),
            "answer": new.answer.tolist(),
            "posterior": new.posterior.ravel().tolist(),
            "classes": new.posterior.shape[1],
            "confidence": new.confidence.tolist(),
            "status": list(new.status),
            "cause": list(new.cause),
            "answers": new.answers.tolist(),
            "skips": new.skips.tolist(),
            "digest": new.digest.tolist(),
            "run": run_id,
            "configuration": configuration_id,
        },
    )
