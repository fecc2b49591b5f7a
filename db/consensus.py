"""The consensus on challenges: locking, reading and writing whole sets of rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from db.errors import NotFoundError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Locked:
    """Consensus rows whose locks this transaction holds, by challenge id."""

    ids: Ints
    """(I,) ascending."""
    revisions: Ints
    raw: list[list[float]]
    """What statistics hold of each, by class code; shorter than K before classes were added, empty before the first
    answer."""
    posteriors: list[list[float]]
    """What is published of each, likewise."""
    gold: Ints
    """Class code that statistics count each as, -1 where it is no gold."""
    answer: Ints
    """Class code, -1 for none."""
    status: list[str]
    version: Ints
    reported: Floats
    """Confidence of that version, NaN before the first."""


def lock(connection: Connection, ids: Sequence[int]) -> Locked:
    """Lock challenges in id order and read their stored posteriors. Their answers must be read after this."""
    query = text(
        "SELECT challenge_id, revision, raw, posterior, coalesce(gold, -1) AS gold, coalesce(answer, -1) AS answer,"
        " status, version, coalesce(reported, 'NaN') AS reported FROM consensus"
        " WHERE challenge_id = ANY(CAST(:ids AS bigint[])) ORDER BY challenge_id FOR UPDATE"
    )
    rows = connection.execute(query, {"ids": sorted(ids)}).all()
    return Locked(
        np.array([row.challenge_id for row in rows], dtype=np.int64),
        np.array([row.revision for row in rows], dtype=np.int64),
        [row.raw for row in rows],
        [row.posterior for row in rows],
        np.array([row.gold for row in rows], dtype=np.int64),
        np.array([row.answer for row in rows], dtype=np.int64),
        [row.status for row in rows],
        np.array([row.version for row in rows], dtype=np.int64),
        np.array([row.reported for row in rows], dtype=np.float64),
    )


def gold(connection: Connection, ids: Ints) -> dict[int, int]:
    """Class code of those of the challenges that are gold now. To be read after their locks are taken."""
    query = text("SELECT challenge_id, answer FROM gold WHERE challenge_id = ANY(:ids) AND state = 'active'")
    return {row.challenge_id: row.answer for row in connection.execute(query, {"ids": ids.tolist()})}


def stale(connection: Connection, project_id: int, *, after: int, limit: int) -> list[int]:
    """Provisional challenges with ids above `after`, in id order; those that somebody holds are passed over."""
    query = text(
        "SELECT challenge_id FROM consensus WHERE project_id = :project AND NOT final AND challenge_id > :after"
        " AND answers + skips > 0 ORDER BY challenge_id LIMIT :limit FOR UPDATE SKIP LOCKED"
    )
    return list(connection.execute(query, {"project": project_id, "after": after, "limit": limit}).scalars())


_WRITE = text("""
UPDATE consensus c SET
    raw = t.raw, posterior = t.posterior, confidence = t.confidence, answer = nullif(t.answer, -1),
    answers = t.answers, skips = t.skips, status = t.status, version = t.version,
    reported = nullif(t.reported, 'NaN'), gold = nullif(t.gold, -1),
    revision = c.revision + t.changed, final = t.final, model_run_id = :run, updated_at = now()
FROM (
    SELECT id, confidence, answer, answers, skips, status, version, reported, gold, changed, final,
           (CAST(:raw AS float8[]))[(place - 1) * :classes + 1 : place * :classes] AS raw,
           (CAST(:posteriors AS float8[]))[(place - 1) * :classes + 1 : place * :classes] AS posterior
    FROM unnest(
        CAST(:ids AS bigint[]), CAST(:confidences AS float8[]), CAST(:answer AS smallint[]), CAST(:answers AS int[]),
        CAST(:skips AS int[]), CAST(:status AS text[]), CAST(:version AS int[]), CAST(:reported AS float8[]),
        CAST(:gold AS smallint[]), CAST(:changed AS int[]), CAST(:final AS boolean[])
    ) WITH ORDINALITY AS u(
        id, confidence, answer, answers, skips, status, version, reported, gold, changed, final, place
    )
) t WHERE c.challenge_id = t.id
""")


def write(
    connection: Connection,
    ids: Ints,
    raw: Floats,
    posterior: Floats,
    *,
    confidence: Floats,
    answer: Ints,
    answers: Ints,
    skips: Ints,
    status: Sequence[str],
    version: Ints,
    reported: Floats,
    gold: Ints,
    changed: npt.NDArray[np.bool_],
    final: npt.NDArray[np.bool_],
    run_id: int | None,
) -> None:
    """Put new posteriors in the place of those of locked challenges.

    Args:
        ids: (I,) challenges whose locks are held.
        raw: (I, K) what statistics hold of them from now on.
        posterior: (I, K) what is published.
        confidence: (I,).
        answer: (I,) class code, -1 for none.
        answers: (I,) counted answers; `skips` likewise.
        status: (I,).
        version: (I,) the latest, with the confidence that it `reported`.
        gold: (I,) class code that statistics count them as from now on, -1 where it is no gold.
        changed: (I,) whether the counted answers are others than before.
        final: (I,) whether the posteriors are a refit's.
        run_id: the model run whose fit or prior made the posteriors.
    """
    written = connection.execute(
        _WRITE,
        {
            "ids": ids.tolist(),
            "raw": raw.ravel().tolist(),
            "posteriors": posterior.ravel().tolist(),
            "classes": posterior.shape[1],
            "confidences": confidence.tolist(),
            "answer": answer.tolist(),
            "answers": answers.tolist(),
            "skips": skips.tolist(),
            "status": list(status),
            "version": version.tolist(),
            "reported": reported.tolist(),
            "gold": gold.tolist(),
            "changed": changed.astype(int).tolist(),
            "final": final.tolist(),
            "run": run_id,
        },
    ).rowcount
    if written != len(ids):
        raise NotFoundError(f"{len(ids) - written} of {len(ids)} challenges are not there")
