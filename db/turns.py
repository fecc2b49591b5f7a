"""Turns: one transaction at a time moves a project's posteriors and statistics, and says what it has moved.

Turns are numbered. A process that has moved the project in turn n and takes turn n + 1 knows that what it remembers is
what is stored; if others had turns in between, it forgets what these have moved.

Positions of the project's feed are given in turns, too. When a turn ends, all that it has written can be seen, and the
next one goes on behind it: what can be seen of the feed has no gap.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from db import transactions
from db.questions import Question, ask_all, rows
from db.transactions import Settings
from db.writes import Writes, bounded

Ints = npt.NDArray[np.int64]

KEPT = 100
"""Turns of a project whose moves are kept: whoever was away for longer forgets everything."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What turns have moved: ids, perhaps more than once."""

    challenges: Ints
    respondents: Ints


_TAKE = text("""
INSERT INTO turns AS t (project_id, number) VALUES (:project, 1)
ON CONFLICT (project_id) DO UPDATE SET number = t.number + 1 RETURNING number, events
""")


def take(connection: Connection, project_id: int, *, most: float, terms: Sequence[Settings] = ()) -> tuple[int, int]:
    """The next turn's number, and the last position of the feed; until this transaction ends nobody else has a turn.

    Args:
        terms: settings that the transaction adopts before.
        most: seconds that the turn may last, where Postgres can tell (`db.writes.bounded`).

    Raises:
        OperationalError: another has it for longer than the transaction's lock time-out.
    """
    limit = {"transaction_timeout": f"{round(most * 1000)}ms"} if bounded(connection) else {}
    _, (turn,) = ask_all(
        connection, [transactions.adoption(*terms, limit), Question(_TAKE, {"project": project_id}, rows)]
    )
    return turn["number"], turn["events"]


_LEAVE = text("""
WITH old AS (
    DELETE FROM moves WHERE project_id = :project AND number <= :number - :kept
), given AS (
    UPDATE turns SET events = :events WHERE project_id = :project AND events <> :events
)
INSERT INTO moves (project_id, number, challenge_ids, respondent_ids)
VALUES (:project, :number, CAST(:challenges AS bigint[]), CAST(:respondents AS bigint[]))
""")


def leave(writes: Writes, project_id: int, number: int, events: int, moved: Moved) -> None:
    """Say how far the feed has come, and what this turn has moved."""
    parameters = {"project": project_id, "number": number, "events": events, "kept": KEPT}
    writes.send(_LEAVE, {**parameters, "challenges": moved.challenges, "respondents": moved.respondents})


def between(
    connection: Connection, project_id: int, after: int, before: int, own: Collection[int] = ()
) -> Moved | None:
    """What others have moved in the turns after one and before another; None if that is not known of all of them."""
    query = text(
        "SELECT challenge_ids, respondent_ids FROM moves WHERE project_id = :project"
        " AND number > :after AND number < :before AND number <> ALL(:own)"
    )
    if before - after - 1 > KEPT:
        return None
    mine = [number for number in own if after < number < before]
    if len(mine) == before - after - 1:
        return Moved(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    parameters = {"project": project_id, "after": after, "before": before, "own": mine}
    rows = connection.execute(query, parameters).all()
    if len(rows) != before - after - 1 - len(mine):
        return None
    return Moved(
        np.array([id_ for row in rows for id_ in row.challenge_ids], dtype=np.int64),
        np.array([id_ for row in rows for id_ in row.respondent_ids], dtype=np.int64),
    )
