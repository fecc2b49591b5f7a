"""Claims: how batches are taken by exactly one worker at a time, and given back.

A claim is a lease by Postgres's clock. `finish` is the fence: it counts the rows that are still under the claim, and a
worker that comes too late changes nothing.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import Connection, text

from db import bodies, transactions
from db.errors import StaleClaimError
from db.questions import Question, ask, rows
from db.transactions import Settings
from db.writes import Writes


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A batch under a claim, with the body it came in."""

    id: int
    uid: uuid.UUID
    attempts: int
    accepted_at: datetime
    done: int
    rejected: int
    media_type: str
    body: bytes | None
    """None: it is gone."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Batches that this worker alone may grade until the lease runs out."""

    id: uuid.UUID
    batches: tuple[ClaimedBatch, ...]


def terms(lease: float) -> tuple[Settings, ...]:
    """Of a transaction that claims: it does not outlast the lease; a claim that the server forgets was never made."""
    return transactions.bounds(idle=lease), transactions.UNHURRIED, transactions.WALKED


_CLAIM = text("""
WITH due AS MATERIALIZED (
    SELECT id, answers, attempts FROM batches
    WHERE project_id = :project AND lane = :lane AND state = 'waiting'
    AND due_at <= now() AND NOT EXISTS (
        SELECT 1 FROM batches o WHERE o.state = 'claimed' AND o.project_id = :project AND o.lane = :lane
        AND o.lease_until > now() AND o.claim_id <> ALL(CAST(:mine AS uuid[]))
    )
    ORDER BY due_at, id LIMIT :batches FOR UPDATE SKIP LOCKED
), ranked AS (
    SELECT id, answers, attempts,
           first_value(attempts) OVER w AS tried,
           row_number() OVER w AS place,
           sum(answers) OVER (ORDER BY id) - answers AS before
    FROM due WINDOW w AS (ORDER BY id)
), taken AS (
    -- A batch claimed in vain is taken in ever smaller company, at last alone: it may be what kills its worker.
    SELECT id FROM ranked
    WHERE attempts = tried AND place <= greatest(1, :batches >> least(2 * tried, 30)) AND before < :answers
), claimed AS (
    UPDATE batches b SET
        state = 'claimed', claim_id = :claim, attempts = b.attempts + 1,
        lease_until = clock_timestamp() + make_interval(secs => :lease)
    FROM taken WHERE b.id = taken.id
    RETURNING b.id, b.uid, b.attempts, b.accepted_at, b.done, b.rejected
)
SELECT c.id, c.uid, c.attempts, c.accepted_at, c.done, c.rejected, p.media_type, p.body
FROM claimed c
LEFT JOIN payloads p ON p.batch_id = c.id AND p.accepted_on = (c.accepted_at AT TIME ZONE 'UTC')::date
ORDER BY c.id
""")


def claim(
    connection: Connection,
    project_id: int,
    lane: str,
    *,
    batches: int,
    answers: int,
    lease: float,
    mine: Sequence[uuid.UUID] = (),
) -> Claim | None:
    """Take what waits and is due for the project and lane, oldest first.

    Args:
        batches: batches to take, at most.
        answers: answers to take, at most; one batch is taken whatever its size.
        lease: seconds.
        mine: claims that this worker holds already. Everything is left to another worker that holds one of this
            project and lane: it remembers the project, and looks again when it is done.

    Returns:
        None when nothing is due, or all of it is left to another worker.
    """
    transactions.adopt(connection, *terms(lease))
    return ask(connection, claiming(project_id, lane, batches=batches, answers=answers, lease=lease, mine=mine))


def claiming(
    project_id: int, lane: str, *, batches: int, answers: int, lease: float, mine: Sequence[uuid.UUID] = ()
) -> Question[Claim | None]:
    """The same, as a question to be asked under `terms`; its parameter `claim` is the id that the claim will have."""
    claim_id = uuid.uuid4()
    parameters = {
        "project": project_id,
        "lane": lane,
        "batches": batches,
        "answers": answers,
        "claim": claim_id,
        "lease": lease,
        "mine": list(mine),
    }
    return Question(_CLAIM, parameters, partial(_claimed, claim_id))


def _claimed(claim_id: uuid.UUID, cursor: "psycopg.Cursor[Any]") -> Claim | None:
    found = [ClaimedBatch(**{**row, "body": row["body"] and bodies.unpack(row["body"])}) for row in rows(cursor)]
    return Claim(claim_id, tuple(found)) if found else None


_MINE = "claim_id = :claim AND lease_until > clock_timestamp()"
"""Only what is claimed has a claim. The state is not named: Postgres would go through the index of claimed batches,
where those of all claims of late still stand, instead of going to each batch by its id."""


_FINISH = text(f"""
UPDATE batches b SET
    state = 'graded', claim_id = NULL, lease_until = NULL, error = NULL, finished_at = clock_timestamp(),
    done = 0, rejected = b.rejected + t.rejected
FROM unnest(CAST(:ids AS bigint[]), CAST(:rejected AS int[])) AS t(id, rejected)
WHERE b.id = t.id AND b.{_MINE.replace(" AND ", " AND b.")}
""")


def finish(writes: Writes, claim_id: uuid.UUID, batches: Sequence[int], rejected: Sequence[int]) -> None:
    """Mark batches as graded. Belongs into the transaction that writes their answers, behind all of that.

    When the writes are settled, StaleClaimError is raised if the claim no longer holds all of them; the transaction
    must be rolled back.

    Args:
        rejected: per batch, how many answers were found wanting while grading.
    """
    parameters = {"ids": list(batches), "rejected": list(rejected), "claim": claim_id}
    writes.send(_FINISH, parameters, partial(_expect, wanted=len(batches)))


def renew(connection: Connection, claim_id: uuid.UUID, batches: Sequence[int], lease: float) -> None:
    """Let the lease of these batches start again.

    Raises:
        StaleClaimError: the claim no longer holds all of them.
    """
    statement = text(
        "UPDATE batches SET lease_until = clock_timestamp() + make_interval(secs => :lease)"
        f" WHERE id = ANY(:ids) AND {_MINE}"
    )
    parameters = {"ids": list(batches), "claim": claim_id, "lease": lease}
    _expect(connection.execute(statement, parameters).rowcount, len(batches))


_KEEP = text(f"""
WITH mine AS (
    SELECT id FROM batches WHERE id = ANY(:ids) AND {_MINE} FOR UPDATE SKIP LOCKED
)
UPDATE batches b SET lease_until = clock_timestamp() + make_interval(secs => :lease) FROM mine WHERE b.id = mine.id
""")


def keep(connection: Connection, claim: Claim, lease: float) -> None:
    """Let the lease of whatever is left under the claim start again; waits for no row, so it can block nobody."""
    connection.execute(_KEEP, {"ids": [batch.id for batch in claim.batches], "claim": claim.id, "lease": lease})


def release(connection: Connection, claim_id: uuid.UUID, batch_id: int, *, error: str | None, wait: float) -> None:
    """Give a batch back to be tried again `wait` seconds from now; no error if the claim is over."""
    statement = text(
        "UPDATE batches SET state = 'waiting', claim_id = NULL, lease_until = NULL, error = :error,"
        " due_at = now() + make_interval(secs => :wait)"
        f" WHERE id = :id AND {_MINE}"
    )
    connection.execute(statement, {"id": batch_id, "claim": claim_id, "error": error, "wait": wait})


_RELEASE_UNTRIED = text("""
UPDATE batches SET
    state = 'waiting', claim_id = NULL, lease_until = NULL, error = coalesce(:error, error), attempts = attempts - 1,
    due_at = now() + make_interval(secs => (0.5 + random()) * least(:most, greatest(:least,
        :share * extract(epoch FROM now() - accepted_at)::float8)))
WHERE id = ANY(:ids) AND state = 'claimed' AND claim_id = :claim RETURNING extract(epoch FROM due_at - now())::float8
""")


def release_untried(
    connection: Connection, claim: Claim, *, error: str | None, share: float, least: float, most: float
) -> list[float]:
    """Give back whatever is left under the claim as if it had not been tried; no error if another has it by now.

    The lease may have run out meanwhile, as renewing it takes room, too.

    Args:
        error: why; None: what was said of it before stands.
        share: of a batch's age that it waits before it is tried again, so that waits grow as a shortage lasts.
        least: seconds, and `most`: bounds of that, before jitter.

    Returns:
        Seconds until each is due again.
    """
    parameters = {
        "ids": [batch.id for batch in claim.batches],
        "claim": claim.id,
        "error": error,
        "share": share,
        "least": least,
        "most": most,
    }
    return list(connection.execute(_RELEASE_UNTRIED, parameters).scalars())


def unmake(connection: Connection, claim_id: uuid.UUID) -> int:
    """Undo a claim of which nobody has heard whether it was made; how many batches it held."""
    statement = text(
        "UPDATE batches SET state = 'waiting', claim_id = NULL, lease_until = NULL, attempts = attempts - 1"
        " WHERE state = 'claimed' AND claim_id = :claim"
    )
    return connection.execute(statement, {"claim": claim_id}).rowcount


def bury(connection: Connection, claim_id: uuid.UUID, batch_id: int, *, error: str) -> None:
    """Declare a batch dead; no error if the claim is over."""
    statement = text(
        "UPDATE batches SET state = 'dead', claim_id = NULL, lease_until = NULL, error = :error, finished_at = now()"
        f" WHERE id = :id AND {_MINE}"
    )
    connection.execute(statement, {"id": batch_id, "claim": claim_id, "error": error})


_EXPIRE = text("""
WITH expired AS (
    SELECT id FROM batches WHERE state = 'claimed' AND lease_until < clock_timestamp()
    ORDER BY id FOR UPDATE SKIP LOCKED
)
UPDATE batches b SET
    state = CASE WHEN b.attempts >= :attempts THEN 'dead' ELSE 'waiting' END,
    finished_at = CASE WHEN b.attempts >= :attempts THEN now() END,
    error = 'the lease ran out: the worker stopped or was killed',
    claim_id = NULL, lease_until = NULL
FROM expired WHERE b.id = expired.id
RETURNING b.state
""")


def expire(connection: Connection, max_attempts: int) -> tuple[int, int]:
    """End the claims whose lease ran out, keeping attempts: how many batches wait again, and how many are dead."""
    states = connection.execute(_EXPIRE, {"attempts": max_attempts}).scalars().all()
    return states.count("waiting"), states.count("dead")


_DOORS = text("""
SELECT project_id, lane
FROM (
    SELECT DISTINCT project_id, lane FROM batches
    WHERE state = 'waiting' AND due_at < now() - make_interval(secs => :age)
) waiting
WHERE NOT EXISTS (
    SELECT 1 FROM batches b
    WHERE b.project_id = waiting.project_id AND b.lane = waiting.lane AND b.state = 'claimed' AND b.lease_until > now()
) AND NOT EXISTS (
    SELECT 1 FROM batches b
    WHERE b.project_id = waiting.project_id AND b.lane = waiting.lane AND b.state = 'graded'
    AND b.finished_at > now() - make_interval(secs => :age)
)
ORDER BY project_id, lane
""")


def doors(connection: Connection, *, older_than: float) -> list[tuple[int, str]]:
    """Project and lane of what has been due for more than `older_than` seconds, unless somebody is at it.

    That is whoever has a claim there whose lease has not run out, or has graded one as lately: between two of its
    claims another would come upon a project that it does not know.
    """
    return [(row.project_id, row.lane) for row in connection.execute(_DOORS, {"age": older_than})]


def held(connection: Connection, project_id: int, *lanes: str) -> bool:
    """Whether somebody has a claim of the project, in one of these lanes, whose lease has not run out."""
    query = text(
        "SELECT EXISTS (SELECT 1 FROM batches WHERE project_id = :project AND lane = ANY(:lanes)"
        " AND state = 'claimed' AND lease_until > now())"
    )
    return bool(connection.execute(query, {"project": project_id, "lanes": list(lanes)}).scalar_one())


def due(connection: Connection, project_id: int, lane: str) -> bool:
    """Whether anything waits and is due."""
    query = text(
        "SELECT EXISTS (SELECT 1 FROM batches WHERE project_id = :project AND lane = :lane"
        " AND state = 'waiting' AND due_at <= now())"
    )
    return bool(connection.execute(query, {"project": project_id, "lane": lane}).scalar_one())


def elsewhere(connection: Connection, project_id: int, lane: str) -> bool:
    """Whether anything waits and is due that is not this project's in this lane."""
    query = text(
        "SELECT EXISTS (SELECT 1 FROM batches WHERE state = 'waiting' AND due_at <= now()"
        " AND (project_id, lane) <> (:project, :lane))"
    )
    return bool(connection.execute(query, {"project": project_id, "lane": lane}).scalar_one())


def fed(connection: Connection, project_id: int, *, seconds: float) -> bool:
    """Whether a batch of the project waits and is due, is claimed, or was finished in the last seconds."""
    query = text(
        "SELECT EXISTS (SELECT 1 FROM batches WHERE project_id = :project AND state = 'waiting' AND due_at <= now())"
        " OR EXISTS (SELECT 1 FROM batches WHERE project_id = :project AND state = 'claimed')"
        " OR EXISTS (SELECT 1 FROM batches WHERE project_id = :project AND state = 'graded'"
        "            AND finished_at > now() - make_interval(secs => :seconds))"
    )
    return bool(connection.execute(query, {"project": project_id, "seconds": seconds}).scalar_one())


def busy(connection: Connection) -> bool:
    """Whether any project's batch waits and is due, or is claimed."""
    query = text(
        "SELECT EXISTS (SELECT 1 FROM batches WHERE state = 'waiting' AND due_at <= now())"
        " OR EXISTS (SELECT 1 FROM batches WHERE state = 'claimed')"
    )
    return bool(connection.execute(query).scalar_one())


def _expect(found: int, wanted: int) -> None:
    if found != wanted:
        raise StaleClaimError(f"the claim holds {found} of {wanted} batches")
