"""Graded answers as columns: appended batch by batch, and read challenge by challenge from the consensus' rows.

They are stored twice. `sheets` has the answers of each batch in columns, for those who read batches, and for SQL the
view `answers`. The row of each challenge in `consensus` has its answers packed, for those who infer: they read, and
write, that row in any case. Both are written by the same transactions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from db import binary, columns
from db.models.answer import SKIP, UNTIMED
from db.pieces import Pieces
from db.writes import Writes

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

RECORD = np.dtype(
    [
        ("respondent_id", "<i8"),
        ("batch_id", "<i8"),
        ("answered_at", "<i8"),
        ("position", "<i4"),
        ("choice", "<i2"),
        ("counted", "|b1"),
        ("spare", "|u1"),
    ]
)
"""One answer as it is packed into its challenge's row."""
_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class AnswerColumns:
    """N answers. Times are microseconds since 1970."""

    batch_id: Ints
    position: Ints
    challenge_id: Ints
    respondent_id: Ints
    choice: Ints
    answered_at: Ints
    counted: Bools

    def select(self, rows: slice | Bools) -> "AnswerColumns":
        """Some of the answers."""
        return AnswerColumns(*(getattr(self, name)[rows] for name in AnswerColumns.__slots__))


def pack(answers: AnswerColumns, order: Ints, sizes: Ints) -> Pieces:
    """Answers in this order, so many (I,) to each challenge."""
    records = np.zeros(len(order), RECORD)
    for name in AnswerColumns.__slots__:
        if name != "challenge_id":
            records[name] = getattr(answers, name)[order]
    return Pieces(records, sizes)


def unpack(challenge_ids: Ints, packed: Pieces) -> AnswerColumns:
    """The answers to challenges (I,)."""
    records = packed.records
    return AnswerColumns(
        batch_id=records["batch_id"].astype(np.int64),
        position=records["position"].astype(np.int64),
        challenge_id=challenge_ids.repeat(packed.sizes),
        respondent_id=records["respondent_id"].astype(np.int64),
        choice=records["choice"].astype(np.int64),
        answered_at=records["answered_at"].astype(np.int64),
        counted=records["counted"].copy(),
    )


_OF_CHALLENGES = """
SELECT challenge_id, octet_length(packed) AS size, packed FROM consensus
WHERE challenge_id = ANY(%(ids)s) AND revision > 0
"""


def of_challenges(connection: Connection, challenge_ids: Ints) -> AnswerColumns:
    """All stored answers to these challenges, superseded ones included; those to one challenge stand together."""
    found = columns.select(
        connection, _OF_CHALLENGES, {"ids": challenge_ids}, numbers="challenge_id size", blobs="packed"
    )
    packed = Pieces.of(RECORD, found.blobs["packed"], found.numbers["size"].astype(np.int64))
    return unpack(found.numbers["challenge_id"], packed)


def join(some: AnswerColumns, others: AnswerColumns) -> AnswerColumns:
    """Some answers and others behind them."""
    return AnswerColumns(
        *(np.concatenate([getattr(some, name), getattr(others, name)]) for name in AnswerColumns.__slots__)
    )


_APPEND = text("""
INSERT INTO sheets (batch_id, accepted_at, first, challenge_ids, respondent_ids, choices, grades, positions,
                    answered_at, durations, counted, sessions)
SELECT batch, timestamptz 'epoch' + accepted_at * interval '1 microsecond', first,
       (CAST(:challenges AS bigint[]))[a:b], (CAST(:respondents AS bigint[]))[a:b],
       (CAST(:choices AS smallint[]))[a:b], (CAST(:grades AS real[]))[a:b],
       CASE WHEN gaps THEN (CAST(:positions AS int[]))[a:b] END,
       CASE WHEN timed THEN (CAST(:answered_at AS bigint[]))[a:b] END,
       CASE WHEN lasted THEN (CAST(:durations AS int[]))[a:b] END,
       CASE WHEN repeats THEN (CAST(:counted AS boolean[]))[a:b] END,
       CASE WHEN named THEN (CAST(:sessions AS text[]))[a:b] END
FROM unnest(
    CAST(:batches AS bigint[]), CAST(:accepted AS bigint[]), CAST(:firsts AS int[]), CAST(:starts AS int[]),
    CAST(:ends AS int[]), CAST(:gaps AS boolean[]), CAST(:timed AS boolean[]), CAST(:lasted AS boolean[]),
    CAST(:repeats AS boolean[]), CAST(:named AS boolean[])
) AS u(batch, accepted_at, first, a, b, gaps, timed, lasted, repeats, named)
""")


def append(
    writes: Writes,
    answers: AnswerColumns,
    *,
    accepted_at: Ints,
    grade: npt.NDArray[np.float64],
    duration_ms: Ints,
    sessions: Mapping[int, str],
) -> None:
    """Store new answers batch by batch; in the challenges' rows the caller has them packed.

    Args:
        answers: those of a batch stand together, by position.
        accepted_at: (N,) when their batches were accepted, in microseconds since 1970.
        grade: (N,) probability that the answer is right, as given now; of skips it is not stored.
        duration_ms: (N,), UNTIMED where the client did not say.
        sessions: by index of the answer, where the client named one.
    """
    n = len(answers.batch_id)
    if not n:
        return
    starts = np.flatnonzero(np.diff(answers.batch_id, prepend=answers.batch_id[0] - 1))
    ends = np.append(starts[1:], n)
    names = [""] * n if sessions else []
    for index, name in sessions.items():
        names[index] = name

    def any_of(mask: Bools) -> Bools:
        return np.logical_or.reduceat(mask, starts)

    writes.send(
        _APPEND,
        {
            "challenges": answers.challenge_id,
            "respondents": answers.respondent_id,
            "choices": answers.choice.astype(np.int16),
            "grades": np.where(answers.choice == SKIP, np.nan, grade).astype(np.float32),
            "positions": answers.position.astype(np.int32),
            "answered_at": answers.answered_at,
            "durations": duration_ms.astype(np.int32),
            "counted": answers.counted,
            "sessions": names,
            "batches": answers.batch_id[starts],
            "accepted": accepted_at[starts],
            "firsts": answers.position[starts].astype(np.int32),
            "starts": (starts + 1).astype(np.int32),
            "ends": ends.astype(np.int32),
            "gaps": answers.position[ends - 1] - answers.position[starts] != ends - 1 - starts,
            "timed": any_of(answers.answered_at != accepted_at),
            "lasted": any_of(duration_ms != UNTIMED),
            "repeats": any_of(~answers.counted),
            "named": any_of(np.isin(np.arange(n), list(sessions))),
        },
    )


_RECOUNT = text("""
UPDATE sheets s SET counted = t.counted
FROM (
    SELECT o.batch_id, o.first, array_agg(coalesce(
        f.counted[array_position(f.positions, coalesce(u.position, o.first + u.place::int - 1))], u.counted, true
    ) ORDER BY u.place) AS counted
    FROM (
        SELECT batch_id, (CAST(:positions AS int[]))[start : stop] AS positions,
               (CAST(:counted AS boolean[]))[start : stop] AS counted
        FROM unnest(CAST(:batches AS bigint[]), CAST(:starts AS int[]), CAST(:stops AS int[]))
            AS b(batch_id, start, stop)
        OFFSET 0
    ) f
    JOIN sheets o ON o.batch_id = f.batch_id
    CROSS JOIN LATERAL unnest(o.challenge_ids, o.positions, o.counted) WITH ORDINALITY
        AS u(challenge_id, position, counted, place)
    GROUP BY o.batch_id, o.first
) t WHERE s.batch_id = t.batch_id AND s.first = t.first
""")
"""Each answer is looked up among those of its own batch alone."""


def recount(writes: Writes, batch_ids: Ints, positions: Ints, counted: Bools) -> None:
    """Change in the sheets which of the stored answers count, (N,) each; this must be their project's turn."""
    order = np.argsort(batch_ids, kind="stable")
    batches, starts = np.unique(batch_ids[order], return_index=True)
    writes.send(
        _RECOUNT,
        {
            "batches": batches,
            "starts": (starts + 1).astype(np.int32),
            "stops": np.append(starts[1:], len(order)).astype(np.int32),
            "positions": positions[order].astype(np.int32),
            "counted": counted[order],
        },
    )


def settled_positions(connection: Connection, batch_ids: Sequence[int]) -> set[tuple[int, int]]:
    """Batch and position of answers that are graded already, or were rejected: what grading skips."""
    query = text(
        "SELECT batch_id, position FROM answers WHERE batch_id = ANY(CAST(:ids AS bigint[]))"
        " UNION ALL SELECT batch_id, position FROM failures WHERE batch_id = ANY(CAST(:ids AS bigint[]))"
    )
    return {(row.batch_id, row.position) for row in connection.execute(query, {"ids": list(batch_ids)})}


def counted(connection: Connection, project_id: int) -> tuple[Ints, Ints, Ints]:
    """Challenge, respondent and class code of every answer of a project that counts, skips left out; each (N,)."""
    rows = binary.copy_out(
        connection,
        "SELECT c.challenge_id, c.packed FROM challenges ch JOIN consensus c ON c.challenge_id = ch.id"
        f" WHERE ch.project_id = {project_id:d} AND c.revision > 0",
        ["int8", "bytea"],
    )
    empty = np.empty(0, dtype=np.int64)
    challenge, respondent, choice = [empty], [empty], [empty]
    while some := list(islice(rows, _ROWS)):
        challenge_ids, packed = zip(*some, strict=True)
        records = np.frombuffer(b"".join(packed), RECORD)
        told = records["counted"] & (records["choice"] != SKIP)
        sizes = [len(one) // RECORD.itemsize for one in packed]
        challenge.append(np.repeat(np.array(challenge_ids, dtype=np.int64), sizes)[told])
        respondent.append(records["respondent_id"][told])
        choice.append(records["choice"][told].astype(np.int64))
    return np.concatenate(challenge), np.concatenate(respondent), np.concatenate(choice)
