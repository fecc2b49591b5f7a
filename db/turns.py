"""Turns: one transaction at a time moves a project's posteriors and statistics, and says what it has moved.

Turns are numbered. A process that has moved the project in turn n and takes turn n + 1 knows that what it remembers is
what is stored; if others had turns in between, it forgets what these have moved.

Positions of the project's feed are given in turns, too. When a turn ends, all that it has written can be seen, and the
next one goes on behind it: what can be seen of the feed has no gap.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from db import transactions
from db.owed import Debt
from db.questions import Question, ask_all, rows
from db.server import INCARNATION, Server
from db.transactions import Settings
from db.writes import Writes

Ints = npt.NDArray[np.int64]

KEPT = 100
"""Turns of a project whose moves are kept: whoever was away for longer forgets everything."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What turns have moved: ids, perhaps more than once."""

    challenges: Ints
    respondents: Ints
    owe: bool = False
    """Whether any of them owes anything."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a project has come to when a turn begins."""

    number: int
    """Of this turn."""
    events: int
    """The last position of the feed."""
    paid: int
    """The last turn up to which nothing is owed; this one, if the ones before owe nothing."""


_TAKE = text(f"""
INSERT INTO turns AS t (project_id, number, paid) VALUES (:project, 1, 1)
ON CONFLICT (project_id) DO UPDATE
SET number = t.number + 1, paid = CASE WHEN t.paid = t.number THEN t.number + 1 ELSE t.paid END
RETURNING number, events, paid, {INCARNATION} AS server
""")


def take(
    connection: Connection,
    project_id: int,
    *,
    most: float,
    terms: Sequence[Settings] = (),
    server: Server | None = None,
) -> Place:
    """The next turn; until this transaction ends nobody else has one.

    Args:
        terms: settings that the transaction adopts before.
        server: is told which one this is.
        most: seconds that the turn may last, where Postgres can tell (`db.writes.bounded`).

    Raises:
        OperationalError: another has it for longer than the transaction's lock time-out.
    """
    adoption = transactions.adoption(*terms, transactions.whole(connection, most))
    _, (turn,) = ask_all(connection, [adoption, Question(_TAKE, {"project": project_id}, rows)])
    incarnation = turn.pop("server")
    if server is not None:
        server.seen(incarnation)
    return Place(**turn)


_LEAVE = text("""
WITH old AS (
    DELETE FROM moves
    WHERE project_id = :project AND number <= :number - :kept AND (owed IS NULL OR number <= :paid)
), given AS (
    UPDATE turns SET events = :events, paid = :paid WHERE project_id = :project AND (events, paid) <> (:events, :paid)
)
INSERT INTO moves (project_id, number, challenge_ids, respondent_ids, width, owed)
VALUES (:project, :number, CAST(:challenges AS bigint[]), CAST(:respondents AS bigint[]), :width, :owed)
""")


def leave(writes: Writes, project_id: int, place: Place, moved: Moved, debt: Debt | None = None) -> None:
    """Say what this turn has moved, and how far the project has come with it.

    Args:
        place: the turn's number, and the others as they are from now on.
        debt: what of it was not written to respondents' rows.
    """
    writes.send(
        _LEAVE,
        {
            "project": project_id,
            **asdict(place),
            "kept": KEPT,
            "challenges": moved.challenges,
            "respondents": moved.respondents,
            "width": None if debt is None else debt.width,
            "owed": None if debt is None else debt.dump(),
        },
    )


def between(
    connection: Connection, project_id: int, after: int, before: int, own: Collection[int] = ()
) -> Moved | None:
    """What others have moved in the turns after one and before another; None if that is not known of all of them."""
    query = text(
        "SELECT challenge_ids, respondent_ids, owed IS NOT NULL AS owe FROM moves WHERE project_id = :project"
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
        any(row.owe for row in rows),
    )
