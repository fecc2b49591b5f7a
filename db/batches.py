"""Batches: accepting them, and what a client or an operator may do with one. Claims are in `db.claims`."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, Protocol

from sqlalchemy import Connection, Row, text

from db.errors import ConflictError, NotFoundError
from db.models.batch import STATES
from db.typed_arrays import Blobs, Ints, Longs, Texts, Uuids


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A validated POST on its way into Postgres."""

    uid: uuid.UUID
    project_id: int
    lane: str
    idempotency_key: str
    digest: bytes
    reply: bytes
    media_type: str
    body: bytes
    """Packed (`db.bodies`)."""
    size: int
    """Bytes of the body, not packed."""
    answers: int
    rejected: tuple[tuple[int, str], ...] = ()
    """Position and reason of each answer that was rejected at the door."""

    @property
    def weight(self) -> int:
        """Bytes that it takes until it is stored, about."""
        return len(self.body) + len(self.reply) + sum(len(reason) for _, reason in self.rejected)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is stored under a batch's idempotency key: this POST's own reply, or that of the POST that came first."""

    digest: bytes
    reply: bytes
    new: bool


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch as clients see it."""

    id: int
    uid: uuid.UUID
    lane: str
    state: str
    attempts: int
    answers: int
    counts: dict[str, int]
    error: str | None
    idempotency_key: str
    accepted_at: datetime
    due_at: datetime
    finished_at: datetime | None


_INSERT: LiteralString = """
WITH incoming AS (
    SELECT * FROM unnest(
        CAST(%(uids)s AS uuid[]), CAST(%(projects)s AS bigint[]), CAST(%(lanes)s AS text[]), CAST(%(keys)s AS text[]),
        CAST(%(digests)s AS bytea[]), CAST(%(replies)s AS bytea[]), CAST(%(answers)s AS int[]),
        CAST(%(rejected)s AS int[]), CAST(%(sizes)s AS int[]), CAST(%(media_types)s AS text[]),
        CAST(%(bodies)s AS bytea[])
    ) AS t(uid, project_id, lane, idempotency_key, digest, reply, answers, rejected, size, media_type, body)
), inserted AS (
    INSERT INTO batches (uid, project_id, lane, idempotency_key, digest, reply, answers, rejected, size)
    SELECT uid, project_id, lane, idempotency_key, digest, reply, answers, rejected, size FROM incoming
    ORDER BY project_id, idempotency_key COLLATE "C"
    ON CONFLICT (project_id, idempotency_key) DO NOTHING
    RETURNING id, uid, accepted_at
), stored AS (
    INSERT INTO payloads (accepted_on, batch_id, media_type, body)
    SELECT (i.accepted_at AT TIME ZONE 'UTC')::date, i.id, incoming.media_type, incoming.body
    FROM inserted i JOIN incoming USING (uid)
), refused AS (
    INSERT INTO failures (batch_id, position, state, reason)
    SELECT i.id, t.position, 'rejected', t.reason
    FROM unnest(CAST(%(rejected_uids)s AS uuid[]), CAST(%(positions)s AS int[]), CAST(%(reasons)s AS text[]))
        AS t(uid, position, reason)
    JOIN inserted i USING (uid)
)
SELECT uid FROM inserted
"""

_STORED: LiteralString = """
SELECT b.project_id, b.idempotency_key, b.digest, b.reply
FROM unnest(CAST(%(projects)s AS bigint[]), CAST(%(keys)s AS text[])) AS t(project_id, idempotency_key)
JOIN batches b USING (project_id, idempotency_key)
"""


class Statements(Protocol):
    """What executes statements, :class:`db.line.Line` in earnest."""

    async def execute(self, statement: LiteralString, parameters: Mapping[str, Any]) -> Sequence[Any]: ...


async def accept(line: Statements, batches: Sequence[NewBatch]) -> list[Accepted]:
    """Store batches by one statement, each at most once per idempotency key; replies come in the arguments' order.

    Of batches with the same key, here or in another process, the first to get in is stored; the others get its reply.
    """
    first: dict[tuple[int, str], NewBatch] = {}
    for batch in batches:
        first.setdefault((batch.project_id, batch.idempotency_key), batch)
    new = list(first.values())
    rejected = [(b.uid, position, reason) for b in new for position, reason in b.rejected]
    parameters = {
        "uids": Uuids(b.uid for b in new),
        "projects": Longs(b.project_id for b in new),
        "lanes": Texts(b.lane for b in new),
        "keys": Texts(b.idempotency_key for b in new),
        "digests": Blobs(b.digest for b in new),
        "replies": Blobs(b.reply for b in new),
        "answers": Ints(b.answers for b in new),
        "rejected": Ints(len(b.rejected) for b in new),
        "sizes": Ints(b.size for b in new),
        "media_types": Texts(b.media_type for b in new),
        "bodies": Blobs(b.body for b in new),
        "rejected_uids": Uuids(uid for uid, _, _ in rejected),
        "positions": Ints(position for _, position, _ in rejected),
        "reasons": Texts(reason for _, _, reason in rejected),
    }
    inserted = {uid for (uid,) in await line.execute(_INSERT, parameters)}
    stored = {key: (b.digest, b.reply) for key, b in first.items() if b.uid in inserted}
    repeated = [key for key in first if key not in stored]
    if repeated:
        wanted = {"projects": Longs(key[0] for key in repeated), "keys": Texts(key[1] for key in repeated)}
        for project_id, key, digest, reply in await line.execute(_STORED, wanted):
            stored[project_id, key] = (digest, reply)
    return [Accepted(*stored[b.project_id, b.idempotency_key], new=b.uid in inserted) for b in batches]


_SELECT = """
SELECT b.id, b.uid, b.lane, b.state, b.attempts, b.answers, b.rejected, b.done, b.error, b.idempotency_key,
       b.accepted_at, b.due_at, b.finished_at, a.graded, a.superseded, f.dead
FROM batches b
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE counted) AS graded, count(*) FILTER (WHERE NOT counted) AS superseded
    FROM answers WHERE batch_id = b.id
) a
CROSS JOIN LATERAL (SELECT count(*) AS dead FROM failures WHERE batch_id = b.id AND state = 'dead') f
"""


def get(connection: Connection, project_id: int, uid: uuid.UUID) -> BatchRow:
    """One batch.

    Raises:
        NotFoundError: the project has no such batch.
    """
    query = text(f"{_SELECT} WHERE b.project_id = :project AND b.uid = :uid")
    row = connection.execute(query, {"project": project_id, "uid": uid}).one_or_none()
    if row is None:
        raise NotFoundError(f"no batch has the id {uid}")
    return _batch(row)


def page(
    connection: Connection, project_id: int, *, state: str | None, lane: str | None, after: int, limit: int
) -> list[BatchRow]:
    """A project's batches in the order they were accepted, those after the id `after`.

    Raises:
        ValueError: there is no such state.
    """
    if state is not None and state not in STATES:
        raise ValueError(f"no batch is ever {state!r}")
    # Named in the statement, not as a parameter: few are in most states, and these have indexes of their own.
    states = "" if state is None else f" AND b.state = '{state}'"
    query = text(
        f"{_SELECT} WHERE b.project_id = :project AND b.id > :after{states}"
        " AND (CAST(:lane AS text) IS NULL OR b.lane = :lane) ORDER BY b.id LIMIT :limit"
    )
    parameters = {"project": project_id, "after": after, "lane": lane, "limit": limit}
    return [_batch(row) for row in connection.execute(query, parameters)]


def cancel(connection: Connection, project_id: int, uid: uuid.UUID) -> None:
    """Cancel a waiting batch; cancelling a cancelled one is no error.

    Raises:
        NotFoundError: the project has no such batch.
        ConflictError: it is claimed or ended.
    """
    state = _lock(connection, project_id, uid)
    if state == "cancelled":
        return
    if state != "waiting":
        raise ConflictError(f"the batch is {state}; only a waiting batch can be cancelled")
    connection.execute(
        text("UPDATE batches SET state = 'cancelled', finished_at = now() WHERE uid = :uid"), {"uid": uid}
    )


_REVIVE = text("""
UPDATE batches SET
    state = 'waiting', attempts = 0, due_at = now(), error = NULL, finished_at = NULL,
    done = (SELECT count(*) FROM answers WHERE batch_id = batches.id)
WHERE uid = :uid RETURNING id
""")


def retry(connection: Connection, project_id: int, uid: uuid.UUID) -> None:
    """Let a dead batch, or the dead answers of a graded one, wait again.

    Raises:
        NotFoundError: the project has no such batch.
        ConflictError: nothing of it is dead.
    """
    state = _lock(connection, project_id, uid)
    dropped = connection.execute(
        text(
            "DELETE FROM failures f USING batches b"
            " WHERE b.uid = :uid AND b.state IN ('dead', 'graded') AND f.batch_id = b.id AND f.state = 'dead'"
        ),
        {"uid": uid},
    ).rowcount
    if state != "dead" and not (state == "graded" and dropped):
        raise ConflictError(f"the batch is {state} and no answer of it is dead")
    connection.execute(_REVIVE, {"uid": uid})


def _lock(connection: Connection, project_id: int, uid: uuid.UUID) -> str:
    query = text("SELECT state FROM batches WHERE project_id = :project AND uid = :uid FOR UPDATE")
    state: str | None = connection.execute(query, {"project": project_id, "uid": uid}).scalar_one_or_none()
    if state is None:
        raise NotFoundError(f"no batch has the id {uid}")
    return state


def _batch(row: Row[*tuple[Any, ...]]) -> BatchRow:
    pending = row.answers - row.rejected - row.done
    counts = {
        "waiting": pending if row.state in {"waiting", "claimed"} else 0,
        "graded": row.graded,
        "superseded": row.superseded,
        "rejected": row.rejected,
        "dead": row.dead + (pending if row.state == "dead" else 0),
        "cancelled": pending if row.state == "cancelled" else 0,
    }
    return BatchRow(
        row.id,
        row.uid,
        row.lane,
        row.state,
        row.attempts,
        row.answers,
        counts,
        row.error,
        row.idempotency_key,
        row.accepted_at,
        row.due_at,
        row.finished_at,
    )
