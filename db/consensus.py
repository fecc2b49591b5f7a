"""The consensus on challenges: locking, reading and writing whole sets of rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from db import columns
from db.columns import Lists
from db.errors import NotFoundError
from db.models.challenge import STATUSES

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Locked:
    """Consensus rows whose locks this transaction holds, by challenge id."""

    ids: Ints
    """(I,) ascending."""
    revisions: Ints
    raw: Lists
    """What statistics hold of each, by class code; shorter than K before classes were added, empty before the first
    answer."""
    posteriors: Lists
    """What is published of each, likewise."""
    gold: Ints
    """Class code that statistics count each as, -1 where it is no gold."""
    answer: Ints
    """Class code, -1 for none."""
    status: Words
    version: Ints
    reported: Floats
    """Confidence of that version, NaN before the first."""


def lock(connection: Connection, ids: Ints, *, wait: bool = True) -> Locked:
    """Lock challenges in id order and read their stored posteriors. Their answers must be read after this.

    Args:
        wait: for those that others hold; else they are left out.
    """
    query = f"""
        SELECT challenge_id, revision, raw, posterior, coalesce(gold, -1) AS gold, coalesce(answer, -1) AS answer,
               array_position(%(statuses)s, status) - 1 AS status, version, coalesce(reported, 'NaN') AS reported
        FROM consensus WHERE challenge_id = ANY(%(ids)s) ORDER BY challenge_id
        FOR UPDATE {"" if wait else "SKIP LOCKED"}
    """
    found, lists = columns.select(
        connection,
        query,
        {"ids": ids, "statuses": list(STATUSES)},
        numbers="challenge_id revision gold answer status version reported",
        lists="raw posterior",
    )
    return Locked(
        found["challenge_id"],
        found["revision"],
        lists["raw"],
        lists["posterior"],
        found["gold"].astype(np.int64),
        found["answer"].astype(np.int64),
        np.array(STATUSES)[found["status"]],
        found["version"].astype(np.int64),
        found["reported"],
    )


def gold(connection: Connection, ids: Ints) -> dict[int, int]:
    """Class code of those of the challenges that are gold now. To be read after their locks are taken."""
    query = text("SELECT challenge_id, answer FROM gold WHERE challenge_id = ANY(:ids) AND state = 'active'")
    return {row.challenge_id: row.answer for row in connection.execute(query, {"ids": ids})}


def asked(connection: Connection, project_id: int) -> tuple[Ints, Ints]:
    """Answers and skips of each of the project's challenges, ascending by these."""
    query = text(
        "SELECT answers, skips, count(*) AS challenges FROM consensus WHERE project_id = :project"
        " GROUP BY answers, skips ORDER BY answers, skips"
    )
    rows = connection.execute(query, {"project": project_id}).all()
    times = [row.challenges for row in rows]
    return (
        np.repeat(np.array([row.answers for row in rows], dtype=np.int64), times),
        np.repeat(np.array([row.skips for row in rows], dtype=np.int64), times),
    )


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
    answers = t.answers, skips = t.skips, status = (CAST(:statuses AS text[]))[t.status + 1], version = t.version,
    reported = nullif(t.reported, 'NaN'), gold = nullif(t.gold, -1),
    revision = c.revision + t.changed::int, final = t.final, model_run_id = :run, updated_at = now()
FROM (
    SELECT id, confidence, answer, answers, skips, status, version, reported, gold, changed, final,
           (CAST(:raw AS float8[]))[(place - 1) * :classes + 1 : place * :classes] AS raw,
           (CAST(:posteriors AS float8[]))[(place - 1) * :classes + 1 : place * :classes] AS posterior
    FROM unnest(
        CAST(:ids AS bigint[]), CAST(:confidences AS float8[]), CAST(:answer AS smallint[]), CAST(:answers AS int[]),
        CAST(:skips AS int[]), CAST(:status AS smallint[]), CAST(:version AS int[]), CAST(:reported AS float8[]),
        CAST(:gold AS smallint[]), CAST(:changed AS boolean[]), CAST(:final AS boolean[])
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
    status: Words,
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
            "ids": ids,
            "raw": raw,
            "posteriors": posterior,
            "classes": posterior.shape[1],
            "confidences": confidence,
            "answer": answer.astype(np.int16),
            "answers": answers.astype(np.int32),
            "skips": skips.astype(np.int32),
            "status": columns.places(status, STATUSES),
            "statuses": list(STATUSES),
            "version": version.astype(np.int32),
            "reported": reported,
            "gold": gold.astype(np.int16),
            "changed": changed,
            "final": final,
            "run": run_id,
        },
    ).rowcount
    if written != len(ids):
        raise NotFoundError(f"{len(ids) - written} of {len(ids)} challenges are not there")
