"""Model runs: asked for by anyone, run one at a time per project under a lease."""

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from db.errors import NotFoundError, StaleClaimError


@dataclass(frozen=True, slots=True)
class RunRow:
    """A model run as clients see it."""

    id: int
    uid: uuid.UUID
    state: str
    cause: str
    model: str | None
    model_version: str | None
    answers: int | None
    challenges: int | None
    respondents: int | None
    iterations: int | None
    converged: bool | None
    input_digest: str | None
    build: str | None
    metrics: Any | None
    error: str | None
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


_COLUMNS = (
    "id, uid, state, cause, model, model_version, answers, challenges, respondents, iterations, converged,"
    " input_digest, build, metrics, error, requested_at, started_at, finished_at"
)


def request(connection: Connection, project_id: int, cause: str) -> uuid.UUID:
    """Ask for a refit; one that waits already is returned instead of a second one, as requested if this one is."""
    uid: uuid.UUID = connection.execute(
        text(
            "INSERT INTO model_runs (project_id, cause) VALUES (:project, :cause)"
            " ON CONFLICT (project_id) WHERE state = 'waiting' DO UPDATE SET cause ="
            " CASE WHEN excluded.cause = 'requested' THEN excluded.cause ELSE model_runs.cause END RETURNING uid"
        ),
        {"project": project_id, "cause": cause},
    ).scalar_one()
    return uid


def get(connection: Connection, project_id: int, uid: uuid.UUID) -> RunRow:
    """One run.

    Raises:
        NotFoundError: the project has no such run.
    """
    query = text(f"SELECT {_COLUMNS} FROM model_runs WHERE project_id = :project AND uid = :uid")
    row = connection.execute(query, {"project": project_id, "uid": uid}).one_or_none()
    if row is None:
        raise NotFoundError(f"no model run has the id {uid}")
    return RunRow(*row)


def page(connection: Connection, project_id: int, *, after: int, limit: int) -> list[RunRow]:
    """A project's runs in the order they were asked for, those after the id `after`."""
    query = text(
        f"SELECT {_COLUMNS} FROM model_runs WHERE project_id = :project AND id > :after ORDER BY id LIMIT :limit"
    )
    parameters = {"project": project_id, "after": after, "limit": limit}
    return [RunRow(*row) for row in connection.execute(query, parameters)]


@dataclass(frozen=True, slots=True)
class RunClaim:
    """A run that this worker alone may carry out until the lease runs out."""

    id: int
    claim_id: uuid.UUID
    attempts: int
    cause: str


def expected(connection: Connection, project_id: int, age: float) -> tuple[str, bool] | None:
    """Why the project's waiting run was asked for, and whether the run before, or else the first answer, is so old."""
    query = text("""
        SELECT w.cause, coalesce(r.started_at, (
            SELECT accepted_at FROM batches b WHERE b.project_id = :project ORDER BY b.id LIMIT 1
        )) < now() - make_interval(secs => :age) AS old
        FROM model_runs w JOIN projects p ON p.id = w.project_id LEFT JOIN model_runs r ON r.id = p.current_run_id
        WHERE w.project_id = :project AND w.state = 'waiting'
    """)
    row = connection.execute(query, {"project": project_id, "age": age}).one_or_none()
    return None if row is None else (row.cause, bool(row.old))


def claim(connection: Connection, project_id: int, lease: float) -> RunClaim | None:
    """Take the project's waiting run; None when none waits or another is running."""
    claim_id = uuid.uuid4()
    row = connection.execute(
        text("""
            UPDATE model_runs SET
                state = 'running', claim_id = :claim, attempts = attempts + 1, started_at = now(),
                lease_until = clock_timestamp() + make_interval(secs => :lease)
            WHERE id = (
                SELECT id FROM model_runs w WHERE project_id = :project AND state = 'waiting'
                AND NOT EXISTS (SELECT 1 FROM model_runs r WHERE r.project_id = :project AND r.state = 'running')
                FOR UPDATE SKIP LOCKED
            ) RETURNING id, attempts, cause
        """),
        {"project": project_id, "claim": claim_id, "lease": lease},
    ).one_or_none()
    return None if row is None else RunClaim(row.id, claim_id, row.attempts, row.cause)


_MINE = "id = :id AND state = 'running' AND claim_id = :claim AND lease_until > clock_timestamp()"


def renew(connection: Connection, run: RunClaim, lease: float) -> None:
    """Let the lease start again; also the fence of every transaction of a refit.

    Raises:
        StaleClaimError: the run is no longer this worker's.
    """
    statement = text(
        f"UPDATE model_runs SET lease_until = clock_timestamp() + make_interval(secs => :lease) WHERE {_MINE}"
    )
    _expect(connection.execute(statement, {"id": run.id, "claim": run.claim_id, "lease": lease}).rowcount)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a refit found out about itself."""

    model: str
    model_version: str
    build: str
    input_digest: str
    answers: int
    challenges: int
    respondents: int
    iterations: int
    converged: bool
    prior: Any
    metrics: Mapping[str, Any]


def finish(connection: Connection, run: RunClaim, project_id: int, outcome: Outcome) -> None:
    """Mark the run as done and make it the project's current one.

    Raises:
        StaleClaimError: the run is no longer this worker's.
    """
    statement = text(f"""
        UPDATE model_runs SET
            state = 'done', claim_id = NULL, lease_until = NULL, finished_at = clock_timestamp(), error = NULL,
            model = :model, model_version = :model_version, build = :build, input_digest = :input_digest,
            answers = :answers, challenges = :challenges, respondents = :respondents, iterations = :iterations,
            converged = :converged, prior = CAST(:prior AS jsonb), metrics = CAST(:metrics AS jsonb)
        WHERE {_MINE}
    """)
    parameters = {
        "id": run.id,
        "claim": run.claim_id,
        "model": outcome.model,
        "model_version": outcome.model_version,
        "build": outcome.build,
        "input_digest": outcome.input_digest,
        "answers": outcome.answers,
        "challenges": outcome.challenges,
        "respondents": outcome.respondents,
        "iterations": outcome.iterations,
        "converged": outcome.converged,
        "prior": json.dumps(outcome.prior),
        "metrics": json.dumps(dict(outcome.metrics)),
    }
    _expect(connection.execute(statement, parameters).rowcount)
    connection.execute(
        text("UPDATE projects SET current_run_id = :run WHERE id = :project"), {"run": run.id, "project": project_id}
    )


def fail(connection: Connection, run: RunClaim, error: str) -> None:
    """Mark the run as failed; no error if it is no longer this worker's."""
    connection.execute(
        text(
            "UPDATE model_runs SET state = 'failed', claim_id = NULL, lease_until = NULL, finished_at = now(),"
            f" error = :error WHERE {_MINE}"
        ),
        {"id": run.id, "claim": run.claim_id, "error": error},
    )


_GIVE_BACK = text(f"""
UPDATE model_runs r SET
    claim_id = NULL, lease_until = NULL, attempts = attempts - 1, error = 'its worker was told to end',
    state = CASE WHEN again THEN 'waiting' ELSE 'failed' END,
    finished_at = CASE WHEN NOT again THEN now() END
FROM (
    SELECT id AS mine, NOT EXISTS (
        SELECT 1 FROM model_runs w WHERE w.project_id = m.project_id AND w.state = 'waiting'
    ) AS again
    FROM model_runs m WHERE {_MINE} FOR UPDATE
) found WHERE r.id = found.mine
""")


def give_back(connection: Connection, run: RunClaim) -> None:
    """Let the run wait again as if it had not been tried, unless one that was asked for meanwhile takes its place.

    No error if it is no longer this worker's.
    """
    connection.execute(_GIVE_BACK, {"id": run.id, "claim": run.claim_id})


_EXPIRE = text("""
WITH expired AS (
    SELECT id,
           -- A run that was asked for while this one was running takes its place.
           attempts < :attempts AND NOT EXISTS (
               SELECT 1 FROM model_runs w WHERE w.project_id = r.project_id AND w.state = 'waiting'
           ) AS again
    FROM model_runs r WHERE state = 'running' AND lease_until < clock_timestamp() ORDER BY id FOR UPDATE SKIP LOCKED
)
UPDATE model_runs r SET
    claim_id = NULL, lease_until = NULL, error = 'the lease ran out: the worker stopped or was killed',
    state = CASE WHEN again THEN 'waiting' ELSE 'failed' END,
    finished_at = CASE WHEN NOT again THEN now() END
FROM expired WHERE r.id = expired.id
""")


def expire(connection: Connection, max_attempts: int) -> None:
    """End the runs whose lease ran out: they wait again, or have failed."""
    connection.execute(_EXPIRE, {"attempts": max_attempts})


def waiting(connection: Connection) -> list[int]:
    """Projects with a run that waits and none that is running."""
    query = text(
        "SELECT project_id FROM model_runs w WHERE state = 'waiting' AND NOT EXISTS"
        " (SELECT 1 FROM model_runs r WHERE r.project_id = w.project_id AND r.state = 'running') ORDER BY project_id"
    )
    return list(connection.execute(query).scalars())


_OUTGROWN = text("""
SELECT p.id, CASE WHEN new.answers >= greatest(:growth * coalesce(r.answers, 0), 1)
                       AND new.answers + coalesce(r.answers, 0) >= :minimum THEN 'growth' ELSE 'age' END AS cause
FROM projects p
LEFT JOIN model_runs r ON r.id = p.current_run_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(b.answers - b.rejected), 0) AS answers FROM batches b
    WHERE b.project_id = p.id AND b.state = 'graded' AND b.finished_at > coalesce(r.started_at, '-infinity')
) new
WHERE new.answers > 0
AND NOT EXISTS (SELECT 1 FROM model_runs o WHERE o.project_id = p.id AND o.state IN ('waiting', 'running'))
AND NOT EXISTS (
    SELECT 1 FROM model_runs o WHERE o.project_id = p.id
    AND (o.requested_at > now() - make_interval(secs => :pause)
         OR o.finished_at > now() - :rest * (o.finished_at - o.started_at))
)
AND ((new.answers >= :growth * coalesce(r.answers, 0) AND new.answers + coalesce(r.answers, 0) >= :minimum)
     OR r.started_at < now() - make_interval(secs => :age))
ORDER BY p.id
""")


def outgrown(
    connection: Connection, *, growth: float, age: float, minimum: int, pause: float, rest: float
) -> list[tuple[int, str]]:
    """Projects whose current run no longer stands for their answers, and why: `growth` or `age`.

    Args:
        growth: share of new answers that calls for a refit.
        age: seconds after which any new answer does.
        minimum: answers below which a project is never refitted by itself.
        pause: seconds between the requests of two runs, at least.
        rest: how many times as long as a run took a project then goes without one, at least.
    """
    parameters = {"growth": growth, "age": age, "minimum": minimum, "pause": pause, "rest": rest}
    return [(row.id, row.cause) for row in connection.execute(_OUTGROWN, parameters)]


def keys(connection: Connection, table: str, project_id: int) -> Iterator[tuple[int, str]]:
    """Id and key of a project's challenges or respondents, in the order of the keys' bytes."""
    if table not in {"challenges", "respondents"}:
        raise ValueError(table)
    query = text(f"SELECT id, key FROM {table} WHERE project_id = :project ORDER BY key")
    options = {"stream_results": True, "max_row_buffer": 10_000}
    with connection.execution_options(**options).execute(query, {"project": project_id}) as rows:
        for row in rows:
            yield row.id, row.key


def revisions(connection: Connection, project_id: int) -> dict[int, int]:
    """Revision of every challenge of a project: what tells a refit which moved since its snapshot."""
    query = text(
        "SELECT c.challenge_id, c.revision FROM challenges ch JOIN consensus c ON c.challenge_id = ch.id"
        " WHERE ch.project_id = :project"
    )
    return {row.challenge_id: row.revision for row in connection.execute(query, {"project": project_id})}


def _expect(found: int) -> None:
    if found != 1:
        raise StaleClaimError("the model run is no longer this worker's")
