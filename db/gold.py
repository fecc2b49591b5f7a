"""Gold: what is said to be the right answer to challenges. Workers follow what has changed, and say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Row, text

from db.errors import ConflictError, NotFoundError

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GoldRow:
    """A gold challenge, with the consensus of its respondents, which gold has no part in."""

    challenge_id: int
    challenge: str
    answer: int
    state: str
    applied: bool
    bad_odds: float | None
    leaked_odds: float | None
    consensus: int | None
    confidence: float | None
    answers: int
    note: str | None
    added_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Put:
    """What became of gold that was put."""

    added: int
    changed: int
    unchanged: int


# Rows are locked in id order. Gold that clamps its challenge as before need not be followed again.
_PUT = text("""
INSERT INTO gold AS g (challenge_id, project_id, answer, note)
SELECT challenge_id, :project, answer, note
FROM unnest(CAST(:challenges AS bigint[]), CAST(:answers AS smallint[]), CAST(:notes AS text[]))
    AS t(challenge_id, answer, note)
ORDER BY challenge_id
ON CONFLICT (challenge_id) DO UPDATE SET
    answer = excluded.answer, state = 'active', note = coalesce(excluded.note, g.note), changed_at = now(),
    applied = g.applied AND g.answer = excluded.answer AND g.state = 'active',
    bad_odds = CASE WHEN g.answer = excluded.answer THEN g.bad_odds END,
    leaked_odds = CASE WHEN g.answer = excluded.answer THEN g.leaked_odds END
WHERE (g.answer, g.state) IS DISTINCT FROM (excluded.answer, 'active')
   OR (excluded.note IS NOT NULL AND excluded.note IS DISTINCT FROM g.note)
RETURNING xmax = 0 AS added
""")


def put(
    connection: Connection,
    project_id: int,
    challenge_ids: Sequence[int],
    answers: Sequence[int],
    notes: Sequence[str | None],
) -> Put:
    """Make challenges gold, each at most once in a call, or give gold another answer; it is active then.

    Args:
        challenge_ids: (G,) challenges of the project, see `db.identities.challenges`.
        answers: (G,) class codes.
        notes: (G,) why; None leaves the note that is there.
    """
    parameters = {
        "project": project_id,
        "challenges": list(challenge_ids),
        "answers": list(answers),
        "notes": list(notes),
    }
    written = connection.execute(_PUT, parameters).scalars().all()
    added = sum(written)
    return Put(added, len(written) - added, len(challenge_ids) - len(written))


_REACHABLE = {"active": ("disputed", "retired"), "disputed": ("active",), "retired": ("active", "disputed")}
"""From which states a state can be reached; staying in one is no error."""


def change(connection: Connection, project_id: int, challenge: str, state: str, note: str | None = None) -> None:
    """Dispute, retire or reinstate gold.

    Raises:
        NotFoundError: the challenge is not gold.
        ConflictError: it is in a state from which this one cannot be reached.
    """
    found = connection.execute(
        text(
            "SELECT g.challenge_id, g.state FROM gold g JOIN challenges c ON c.id = g.challenge_id"
            " WHERE c.project_id = :project AND c.key = :key FOR UPDATE OF g"
        ),
        {"project": project_id, "key": challenge},
    ).one_or_none()
    if found is None:
        raise _unknown(challenge)
    if state != found.state and found.state not in _REACHABLE[state]:
        raise ConflictError(f"the gold is {found.state}; it cannot become {state}")
    connection.execute(
        text("""
            UPDATE gold SET
                state = :state, note = coalesce(:note, note),
                applied = applied AND (state = 'active') = (:state = 'active'),
                changed_at = CASE WHEN state = :state AND :note IS NULL THEN changed_at ELSE now() END
            WHERE challenge_id = :id
        """),
        {"id": found.challenge_id, "state": state, "note": note},
    )


_SELECT = """
SELECT g.challenge_id, ch.key, g.answer, g.state, g.applied, g.bad_odds, g.leaked_odds,
       CASE WHEN c.answers > 0 THEN c.answer END, CASE WHEN c.answers > 0 THEN c.confidence END, c.answers,
       g.note, g.added_at, g.changed_at
FROM gold g JOIN challenges ch ON ch.id = g.challenge_id JOIN consensus c ON c.challenge_id = g.challenge_id
"""


def get(connection: Connection, project_id: int, challenge: str) -> GoldRow:
    """One gold challenge.

    Raises:
        NotFoundError: the challenge is not gold.
    """
    query = text(f"{_SELECT} WHERE ch.project_id = :project AND ch.key = :key")
    row = connection.execute(query, {"project": project_id, "key": challenge}).one_or_none()
    if row is None:
        raise _unknown(challenge)
    return _gold(row)


def page(
    connection: Connection,
    project_id: int,
    *,
    state: str | None,
    flagged: bool | None,
    bad: float,
    leaked: float,
    after: int,
    limit: int,
) -> list[GoldRow]:
    """A project's gold in the order in which its challenges were first met, after the challenge id `after`.

    Args:
        flagged: only what has odds from `bad` or `leaked` on, or only what has not.
    """
    query = text(f"""
        {_SELECT}
        WHERE g.project_id = :project AND g.challenge_id > :after AND (CAST(:state AS text) IS NULL OR g.state = :state)
        AND (CAST(:flagged AS boolean) IS NULL OR :flagged = (
            coalesce(g.bad_odds >= :bad, false) OR coalesce(g.leaked_odds >= :leaked, false)
        ))
        ORDER BY g.challenge_id LIMIT :limit
    """)
    parameters = {
        "project": project_id,
        "state": state,
        "flagged": flagged,
        "bad": bad,
        "leaked": leaked,
        "after": after,
        "limit": limit,
    }
    return [_gold(row) for row in connection.execute(query, parameters)]


def pending(connection: Connection, project_id: int, limit: int) -> list[int]:
    """Challenges whose gold workers have yet to follow, in id order; locked, but for those that somebody holds."""
    query = text(
        "SELECT challenge_id FROM gold WHERE project_id = :project AND NOT applied ORDER BY challenge_id"
        " LIMIT :limit FOR UPDATE SKIP LOCKED"
    )
    return list(connection.execute(query, {"project": project_id, "limit": limit}).scalars())


def waiting(connection: Connection) -> list[int]:
    """Projects with gold that workers have yet to follow."""
    query = text("SELECT DISTINCT project_id FROM gold WHERE NOT applied ORDER BY project_id")
    return list(connection.execute(query).scalars())


def active(connection: Connection, project_id: int) -> tuple[Ints, Ints]:
    """Challenges that statistics count as gold, ascending, and the class codes that they count."""
    rows = connection.execute(
        text(
            "SELECT challenge_id, c.gold FROM gold g JOIN consensus c USING (challenge_id)"
            " WHERE g.project_id = :project AND c.gold IS NOT NULL ORDER BY challenge_id"
        ),
        {"project": project_id},
    ).all()
    return (
        np.array([row.challenge_id for row in rows], dtype=np.int64),
        np.array([row.gold for row in rows], dtype=np.int64),
    )


def applied(connection: Connection, challenge_ids: Sequence[int]) -> None:
    """Note that statistics follow the gold of these challenges, whose rows here and in `consensus` are locked."""
    connection.execute(
        text("""
            WITH followed AS (
                UPDATE gold SET applied = true WHERE challenge_id = ANY(CAST(:ids AS bigint[]))
                RETURNING challenge_id, CASE WHEN state = 'active' THEN answer END AS clamp
            )
            UPDATE consensus c SET gold = f.clamp FROM followed f
            WHERE c.challenge_id = f.challenge_id AND c.gold IS DISTINCT FROM f.clamp
        """),
        {"ids": list(challenge_ids)},
    )


def flag(
    connection: Connection, challenge_ids: Sequence[int], bad_odds: Sequence[float], leaked_odds: Sequence[float]
) -> None:
    """Note the odds against gold; each (G,). Rows are locked in id order, `changed_at` stays."""
    connection.execute(
        text("""
            WITH odds AS (
                SELECT * FROM unnest(
                    CAST(:ids AS bigint[]), CAST(:bad AS float8[]), CAST(:leaked AS float8[])
                ) AS t(challenge_id, bad, leaked)
            ), locked AS (
                SELECT g.challenge_id FROM gold g JOIN odds USING (challenge_id) ORDER BY g.challenge_id FOR UPDATE OF g
            )
            UPDATE gold g SET bad_odds = o.bad, leaked_odds = o.leaked
            FROM odds o JOIN locked USING (challenge_id)
            WHERE g.challenge_id = o.challenge_id
            AND (g.bad_odds, g.leaked_odds) IS DISTINCT FROM (o.bad, o.leaked)
        """),
        {"ids": list(challenge_ids), "bad": list(bad_odds), "leaked": list(leaked_odds)},
    )


def _unknown(challenge: str) -> NotFoundError:
    return NotFoundError(f"the challenge {challenge!r} is not gold")


def _gold(row: Row[*tuple[Any, ...]]) -> GoldRow:
    return GoldRow(*row)
