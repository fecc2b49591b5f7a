"""Graded answers as columns: read whole challenges at a time, appended by COPY."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from db import binary, columns
from db.models.answer import SKIP

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_EPOCH_2000 = 946_684_800_000_000
"""Microseconds between 1970 and 2000, where Postgres counts from."""


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


_OF_CHALLENGES = """
SELECT batch_id, position, challenge_id, respondent_id, choice,
       (extract(epoch FROM answered_at) * 1000000)::bigint AS answered_at, counted
FROM answers WHERE challenge_id = ANY(%(ids)s)
"""


def of_challenges(connection: Connection, challenge_ids: Ints) -> AnswerColumns:
    """All stored answers to these challenges, superseded ones included, in no particular order."""
    found, _ = columns.select(
        connection, _OF_CHALLENGES, {"ids": challenge_ids}, numbers=" ".join(AnswerColumns.__slots__)
    )
    return AnswerColumns(
        **{name: column.astype(bool if name == "counted" else np.int64) for name, column in found.items()}
    )


def join(some: AnswerColumns, others: AnswerColumns) -> AnswerColumns:
    """Some answers and others behind them."""
    return AnswerColumns(
        *(np.concatenate([getattr(some, name), getattr(others, name)]) for name in AnswerColumns.__slots__)
    )


def append(
    connection: Connection,
    answers: AnswerColumns,
    *,
    grade: npt.NDArray[np.float64],
    duration_ms: Ints,
    sessions: Mapping[int, str],
) -> None:
    """Store new answers.

    Args:
        grade: (N,) probability that the answer is right, as given now; of skips it is not stored.
        duration_ms: (N,), UNTIMED where the client did not say.
        sessions: by index of the answer, where the client named one.
    """
    data = binary.dump(
        [
            (binary.BIGINT, answers.batch_id),
            (binary.INTEGER, answers.position),
            (binary.BIGINT, answers.challenge_id),
            (binary.BIGINT, answers.respondent_id),
            (binary.SMALLINT, answers.choice),
            (binary.BIGINT, answers.answered_at - _EPOCH_2000),
            (binary.BOOLEAN, answers.counted),
            (binary.INTEGER, duration_ms),
        ],
        [(binary.REAL, grade, answers.choice != SKIP)],
    )
    binary.copy_in(
        connection,
        "answers (batch_id, position, challenge_id, respondent_id, choice, answered_at, counted, duration_ms, grade)",
        data,
    )
    if sessions:
        places = list(sessions)
        connection.execute(
            text(
                "UPDATE answers a SET session = t.session"
                " FROM unnest(CAST(:batches AS bigint[]), CAST(:positions AS int[]), CAST(:sessions AS text[]))"
                " AS t(batch_id, position, session) WHERE a.batch_id = t.batch_id AND a.position = t.position"
            ),
            {
                "batches": answers.batch_id[places],
                "positions": answers.position[places].astype(np.int32),
                "sessions": list(sessions.values()),
            },
        )


def recount(connection: Connection, batch_ids: Ints, positions: Ints, counted: Bools) -> None:
    """Change which of the stored answers count; their challenges must be locked."""
    connection.execute(
        text(
            "UPDATE answers a SET counted = t.counted"
            " FROM unnest(CAST(:batches AS bigint[]), CAST(:positions AS int[]), CAST(:counted AS boolean[]))"
            " AS t(batch_id, position, counted) WHERE a.batch_id = t.batch_id AND a.position = t.position"
        ),
        {"batches": batch_ids, "positions": positions.astype(np.int32), "counted": counted},
    )


def settled_positions(connection: Connection, batch_ids: Sequence[int]) -> set[tuple[int, int]]:
    """Batch and position of answers that are graded already, or were rejected: what grading skips."""
    query = text(
        "SELECT batch_id, position FROM answers WHERE batch_id = ANY(CAST(:ids AS bigint[]))"
        " UNION ALL SELECT batch_id, position FROM failures WHERE batch_id = ANY(CAST(:ids AS bigint[]))"
    )
    return {(row.batch_id, row.position) for row in connection.execute(query, {"ids": list(batch_ids)})}


_SNAPSHOT = {"challenge_id": binary.BIGINT, "respondent_id": binary.BIGINT, "choice": binary.SMALLINT}


def counted(connection: Connection, project_id: int) -> tuple[Ints, Ints, Ints]:
    """Challenge, respondent and class code of every answer of a project that counts, skips left out; each (N,)."""
    found = binary.copy_out(
        connection,
        "SELECT a.challenge_id, a.respondent_id, a.choice FROM challenges c JOIN answers a ON a.challenge_id = c.id"
        f" WHERE c.project_id = {project_id:d} AND a.counted AND a.choice <> {SKIP}",
        _SNAPSHOT,
    )
    return found["challenge_id"], found["respondent_id"], found["choice"].astype(np.int64)
