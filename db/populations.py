"""Queries on what was learned of projects' crowds between refits."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

Ints = npt.NDArray[np.int64]

_TOGETHER = 1000
"""Challenges that are looked at at once."""
_CANDIDATES = 4
"""Challenges for each wanted answer that are looked at before all are."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a project has come since its population was learned last, by a refit or from a sample."""

    run_id: int | None
    """The project's current run."""
    known: int
    """Answers at that time; 0 if nothing that was learned fits the project's model and classes."""
    answers: int
    """Answers now."""


def progress(connection: Connection, project_id: int) -> Progress:
    """How many answers a project has, and had when its population was learned last."""
    query = text("""
        WITH last AS (
            SELECT l.made_at AS since, l.answers, l.prior FROM populations l JOIN projects p ON p.id = l.project_id
            WHERE p.id = :project AND l.model = p.model AND l.model_run_id IS NOT DISTINCT FROM p.current_run_id
            UNION ALL
            SELECT r.started_at, r.answers, r.prior FROM projects p JOIN model_runs r ON r.id = p.current_run_id
            WHERE p.id = :project AND r.model = p.model
        ), fitting AS (
            SELECT since, answers FROM last WHERE (prior->>'classes')::int
                = (SELECT count(*) FROM project_classes WHERE project_id = :project) ORDER BY since DESC LIMIT 1
        )
        SELECT p.current_run_id AS run_id, coalesce(f.answers, 0) AS known,
               coalesce(f.answers, 0) + new.answers AS answers
        FROM projects p LEFT JOIN fitting f ON true
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(b.answers - b.rejected), 0)::bigint AS answers FROM batches b
            WHERE b.project_id = p.id AND b.state = 'graded' AND b.finished_at > coalesce(f.since, '-infinity')
        ) new WHERE p.id = :project
    """)
    row = connection.execute(query, {"project": project_id}).one()
    return Progress(row.run_id, row.known, row.answers)


def sample(connection: Connection, project_id: int, limit: int) -> Ints:
    """Challenges with about so many answers in all, chosen by a hash of their ids; at least one if there is any.

    They are chosen among the names, which are narrow rows that nobody updates. To read the consensus on all would be to
    clear away old versions of rows on every page, and behind a checkpoint each of these goes into the log whole. It is
    done where most challenges have no answers.
    """
    names = text("SELECT id FROM challenges WHERE project_id = :project ORDER BY hashint8(id), id LIMIT :candidates")
    ids = list(connection.execute(names, {"project": project_id, "candidates": _CANDIDATES * limit}).scalars())
    chosen: list[int] = []
    answers = 0
    for start in range(0, len(ids), _TOGETHER):
        counts = _answers(connection, ids[start : start + _TOGETHER])
        for challenge_id in filter(counts.__contains__, ids[start : start + _TOGETHER]):
            chosen.append(challenge_id)
            answers += counts[challenge_id]
            if answers >= limit:
                return np.array(chosen, dtype=np.int64)
    if len(ids) < _CANDIDATES * limit:
        return np.array(chosen, dtype=np.int64)
    return _sample_of_all(connection, project_id, limit)


def _answers(connection: Connection, ids: list[int]) -> dict[int, int]:
    """How many answers count, of those challenges that have any."""
    query = text("SELECT challenge_id, answers FROM consensus WHERE challenge_id = ANY(:ids) AND answers > 0")
    return {row.challenge_id: row.answers for row in connection.execute(query, {"ids": ids})}


def _sample_of_all(connection: Connection, project_id: int, limit: int) -> Ints:
    query = text(
        "SELECT challenge_id, answers FROM consensus WHERE project_id = :project AND answers > 0"
        " ORDER BY hashint8(challenge_id), challenge_id LIMIT :limit"
    )
    rows = connection.execute(query, {"project": project_id, "limit": limit}).all()
    before = np.cumsum([0, *(row.answers for row in rows)])[:-1]
    return np.array([row.challenge_id for row in rows], dtype=np.int64)[before < limit]


def record(
    connection: Connection,
    project_id: int,
    at: Progress,
    *,
    model: str,
    model_version: str,
    sample: int,
    prior: Any,
) -> None:
    """Let grading use this prior until the project has another run, model or set of classes."""
    connection.execute(
        text(
            "INSERT INTO populations (project_id, model, model_version, model_run_id, answers, sample, prior)"
            " VALUES (:project, :model, :version, :run, :answers, :sample, CAST(:prior AS jsonb))"
        ),
        {
            "project": project_id,
            "model": model,
            "version": model_version,
            "run": at.run_id,
            "answers": at.answers,
            "sample": sample,
            "prior": json.dumps(prior),
        },
    )
