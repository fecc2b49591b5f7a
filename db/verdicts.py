"""Versions of verdicts: written with the change that makes them, in its transaction, with their places in the feed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import text

from db.writes import Writes

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST = 128
"""Events in one bulletin."""
_ROOM, _EVENT, _CLASS = 7700, 54, 4
"""Bytes of a page that events may take, of an event, and more of it for each class."""


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
    """Places in `db.models.challenge.STATUSES`, and of the causes in `db.models.verdict.CAUSES`."""
    cause: Ints
    answers: Ints
    skips: Ints
    digest: Ints
    """Of the counted answers, whatever their order."""
    answer_before: Ints
    """What the version before said; so do the other two."""
    confidence_before: Floats
    """NaN where there was none before."""
    status_before: Ints


_APPEND = text("""
INSERT INTO bulletins (project_id, first, model_run_id, configuration_id, challenge_ids, versions, answers,
                       confidences, statuses, causes, answered, skips, digests, posteriors, answers_before,
                       confidences_before, statuses_before)
SELECT :project, CAST(:behind AS bigint) + a, :run, :configuration, (CAST(:challenges AS bigint[]))[a:b],
       (CAST(:versions AS int[]))[a:b], (CAST(:answers AS smallint[]))[a:b], (CAST(:confidences AS float8[]))[a:b],
       (CAST(:statuses AS smallint[]))[a:b], (CAST(:causes AS smallint[]))[a:b], (CAST(:answered AS int[]))[a:b],
       (CAST(:skips AS int[]))[a:b], (CAST(:digests AS bigint[]))[a:b],
       (CAST(:posteriors AS real[]))[(a - 1) * :classes + 1 : b * :classes],
       (CAST(:answers_before AS smallint[]))[a:b], (CAST(:confidences_before AS float8[]))[a:b],
       (CAST(:statuses_before AS smallint[]))[a:b]
FROM generate_series(1, CAST(:events AS int), CAST(:size AS int)) AS a
CROSS JOIN LATERAL (SELECT a + CAST(:size AS int) - 1 AS b) AS last
""")


def append(
    writes: Writes,
    project_id: int,
    behind: int,
    new: NewVersions,
    *,
    run_id: int | None,
    configuration_id: int | None,
) -> None:
    """Write versions as the events behind a position, the last one given; this must be the project's turn."""
    events, classes = new.posterior.shape
    if not events:
        return
    writes.send(
        _APPEND,
        {
            "project": project_id,
            "behind": behind,
            "events": events,
            "size": max(1, min(MOST, _ROOM // (_EVENT + _CLASS * classes))),
            "run": run_id,
            "configuration": configuration_id,
            "challenges": new.challenge_ids,
            "versions": new.versions.astype(np.int32),
            "answers": new.answer.astype(np.int16),
            "confidences": new.confidence,
            "statuses": new.status.astype(np.int16),
            "causes": new.cause.astype(np.int16),
            "answered": new.answers.astype(np.int32),
            "skips": new.skips.astype(np.int32),
            "digests": new.digest,
            "posteriors": new.posterior.astype(np.float32),
            "classes": classes,
            "answers_before": new.answer_before.astype(np.int16),
            "confidences_before": new.confidence_before,
            "statuses_before": new.status_before.astype(np.int16),
        },
    )
