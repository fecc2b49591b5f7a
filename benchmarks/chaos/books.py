"""What must hold of a project whatever was done to its processes: every accepted answer once, and what follows from it.

All of it holds at every commit, so it is read as one snapshot while load goes on; only `unsettled` is of a project at
rest.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from sqlalchemy import Connection, Engine, text

from db import answers, projects
from workers import scheme, standing
from workers.scheme import Scheme
from workers.standing import Held

TOLERANCE = 1e-6
LONGEST = "15 s"
"""That a claim is left lying behind the end of its lease: a few sweeps."""

Answer = tuple[str, str, str]
"""The keys of challenge, respondent and class."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How much is wrong; nothing is, when all are 0."""

    lost: int = 0
    """Accepted answers in no state, and answers of batches that were accepted and are not there."""
    twice: int = 0
    """Answers stored or counted more than once, and batches that a repeated POST made."""
    wrong_content: int = 0
    """Answers stored with other names than they were posted with, or rejected though nothing was wrong with them, and
    batches that were cancelled and are not."""
    wrong_statistics: int = 0
    """Respondents whose statistics are not the sum over their counted answers."""
    wrong_consensus: int = 0
    """Challenges whose row does not count its answers, or at rest not what gold says, and answers that it has otherwise
    than their batch's sheet."""
    wrong_feed: int = 0
    """Versions that are missing, or have no place or a wrong one in the feed, and gaps in it."""
    unsettled: int = 0
    """Claims that nobody has taken up long after their lease; when nothing is to be done any more, batches, model runs,
    debts and gold that are left over."""

    def __add__(self, other: Self) -> "Faults":
        return Faults(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Faults)))

    def __bool__(self) -> bool:
        return self != Faults()


def audit(
    engine: Engine,
    project_id: int,
    accepted: Mapping[str, Sequence[Answer]],
    cancelled: Collection[str] = (),
    *,
    at_rest: bool = False,
) -> Faults:
    """Read a project's books.

    Args:
        accepted: what was posted with every batch that a client knows to be accepted, by the batch's id.
        cancelled: ids of those of which it knows that they are.
        at_rest: everybody has what they posted accepted, and nothing waits.
    """
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        project = {"p": project_id}
        connection.execute(text("SET LOCAL enable_nestloop = off"))  # of a young project the planner knows nothing
        connection.execute(text("SET LOCAL work_mem = '256MB'"))
        states = _number(connection, "SELECT abs(lost) FROM ledger WHERE project_id = :p", project)
        return Faults(
            lost=states + _missing(connection, project_id, accepted) + _number(connection, _UNACCOUNTED, project),
            twice=sum(_number(connection, query, project) for query in _TWICE)
            + (abs(_number(connection, _BATCHES, project) - len(accepted)) if at_rest else 0),
            wrong_content=_renamed(connection, project_id, accepted)
            + _refused(connection, project_id, accepted)
            + _number(connection, _REVIVED, project | {"cancelled": list(cancelled)}),
            wrong_statistics=_number(connection, _STATISTICS, project | _held(connection, project_id)),
            wrong_consensus=_number(connection, _CONSENSUS, project)
            + _packed_otherwise(connection, project_id)
            + (_number(connection, _GOLD, project) if at_rest else 0),
            wrong_feed=sum(_number(connection, query, project) for query in _FEED),
            unsettled=len(_unsettled(connection, project_id))
            if at_rest
            else _number(connection, _LEFT, project | {"longest": LONGEST}),
        )


def unsettled(engine: Engine, project_id: int) -> list[str]:
    """A line for whatever is left over."""
    with engine.connect() as connection:
        return _unsettled(connection, project_id)


def pending(engine: Engine, project_id: int, until: float) -> int:
    """Batches accepted up to a moment (of the Unix clock) whose answers have not come to an end."""
    query = (
        "SELECT count(*) FROM batches"
        " WHERE project_id = :p AND state IN ('waiting', 'claimed') AND accepted_at <= to_timestamp(:until)"
    )
    with engine.connect() as connection:
        return _number(connection, query, {"p": project_id, "until": until})


def finished(engine: Engine, project_id: int, until: float) -> float:
    """When the last batch accepted up to a moment was graded; both of the Unix clock."""
    query = text(
        "SELECT coalesce(extract(epoch FROM max(finished_at)), 0)::float8 FROM batches"
        " WHERE project_id = :p AND accepted_at <= to_timestamp(:until)"
    )
    with engine.connect() as connection:
        return float(connection.execute(query, {"p": project_id, "until": until}).scalar_one())


def dead(engine: Engine, project_id: int) -> int:
    """Batches, and answers of others, that were given up: accounted for, but not what a fault of the machinery should
    lead to."""
    with engine.connect() as connection:
        return _number(connection, _DEAD, {"p": project_id})


def _unsettled(connection: Connection, project_id: int) -> list[str]:
    return list(connection.execute(text(_UNSETTLED), {"p": project_id}).scalars())


def _number(connection: Connection, query: str, parameters: Mapping[str, object]) -> int:
    return int(connection.execute(text(query), parameters).scalar_one())


def _missing(connection: Connection, project_id: int, accepted: Mapping[str, Sequence[Answer]]) -> int:
    """Answers that were acknowledged and of whose batch there is no trace, or too few."""
    query = """
        SELECT coalesce(sum(abs(known.answers - coalesce(b.answers, 0))), 0)
        FROM unnest(CAST(:uids AS uuid[]), CAST(:answers AS int[])) AS known(uid, answers)
        LEFT JOIN batches b ON b.uid = known.uid AND b.project_id = :p
    """
    answers = [len(posted) for posted in accepted.values()]
    return _number(connection, query, {"p": project_id, "uids": list(accepted), "answers": answers})


def _renamed(connection: Connection, project_id: int, accepted: Mapping[str, Sequence[Answer]]) -> int:
    """Stored answers that are not to the challenge, of the respondent and with the class that were posted."""
    stored = connection.execute(text(_STORED), {"p": project_id})
    return sum(tuple(names) != accepted[uid][position] for uid, position, *names in stored if uid in accepted)


def _refused(connection: Connection, project_id: int, accepted: Mapping[str, Sequence[Answer]]) -> int:
    """Answers that were rejected and name a class of the project."""
    names = text("SELECT key FROM project_classes WHERE project_id = :p")
    classes = set(connection.scalars(names, {"p": project_id}))
    rejected = connection.execute(text(_REJECTED), {"p": project_id})
    return sum(accepted[uid][position][2] in classes for uid, position in rejected if uid in accepted)


def statistics(connection: Connection, project_id: int) -> tuple[Scheme, Held]:
    """What holds of all respondents of a project, with what is owed to them; in the scheme's canonical order."""
    plan = scheme.make(projects.grading(connection, project_id), torch.device("cpu"))
    query = text("SELECT respondent_id FROM respondent_statistics WHERE project_id = :p ORDER BY 1")
    ids = np.array(connection.scalars(query, {"p": project_id}).all(), dtype=np.int64)
    return plan, standing.look(connection, plan, project_id, ids)


def _held(connection: Connection, project_id: int) -> dict[str, object]:
    """The same as parameters, and how far off it may be."""
    plan, held = statistics(connection, project_id)
    return {
        "tolerance": TOLERANCE,
        "ids": held.ids,
        "clamped": plan.coded_statistics(held.clamped),
        "open": plan.coded_statistics(held.open),
        "answers": held.answers,
        "skips": held.skips,
    }


def _packed_otherwise(connection: Connection, project_id: int) -> int:
    """Answers that are not both in their batch's sheet and with their challenge, alike."""
    columns = "batch_id, position, challenge_id, respondent_id, choice, counted"
    rows = connection.execute(
        text(
            f"SELECT {columns}, (extract(epoch FROM a.answered_at) * 1000000)::bigint AS answered_at"
            f" FROM answers a WHERE a.batch_id = {_MINE}"
        ),
        {"p": project_id},
    ).all()
    ids = connection.scalars(text("SELECT challenge_id FROM consensus WHERE project_id = :p"), {"p": project_id})
    packed = answers.of_challenges(connection, np.array(ids.all(), dtype=np.int64))
    names = [*columns.split(", "), "answered_at"]
    by_challenge = set(zip(*(getattr(packed, name).tolist() for name in names), strict=True))
    return len(by_challenge.symmetric_difference(map(tuple, rows))) + abs(len(packed.position) - len(rows))


_MINE = "ANY(ARRAY(SELECT id FROM batches WHERE project_id = :p))"
"""Batches of a project, looked up before answers are told apart: those of other projects are many."""

_UNACCOUNTED = f"""
SELECT coalesce(sum(abs(b.answers - coalesce(stored.n, 0) - coalesce(failed.n, 0)
    - CASE WHEN b.state = 'graded' THEN 0 ELSE b.answers - b.rejected - b.done END)), 0)
FROM batches b
LEFT JOIN (
    SELECT batch_id, count(*) AS n FROM answers WHERE batch_id = {_MINE} GROUP BY 1
) stored ON stored.batch_id = b.id
LEFT JOIN (
    SELECT batch_id, count(*) AS n FROM failures WHERE batch_id = {_MINE} GROUP BY 1
) failed ON failed.batch_id = b.id
WHERE b.project_id = :p
"""

_STORED = f"""
SELECT b.uid::text, a.position, c.key, r.key, k.key
FROM batches b JOIN answers a ON a.batch_id = b.id
LEFT JOIN challenges c ON c.id = a.challenge_id
LEFT JOIN respondents r ON r.id = a.respondent_id
LEFT JOIN project_classes k ON k.project_id = b.project_id AND k.code = a.choice
WHERE b.project_id = :p AND a.batch_id = {_MINE}
"""

_REJECTED = """
SELECT b.uid::text, f.position FROM batches b JOIN failures f ON f.batch_id = b.id
WHERE b.project_id = :p AND f.state = 'rejected'
"""

_DEAD = """
SELECT (SELECT count(*) FROM batches WHERE project_id = :p AND state = 'dead') + (
    SELECT count(*) FROM batches b JOIN failures f ON f.batch_id = b.id
    WHERE b.project_id = :p AND b.state <> 'dead' AND f.state = 'dead'
)
"""

_REVIVED = """
SELECT count(*) FROM batches WHERE project_id = :p AND uid = ANY(CAST(:cancelled AS uuid[])) AND state <> 'cancelled'
"""

_BATCHES = "SELECT count(*) FROM batches WHERE project_id = :p"

_TWICE = (
    f"""
    SELECT coalesce(sum(t.n - 1), 0) FROM (
        SELECT count(*) AS n FROM answers WHERE batch_id = {_MINE} GROUP BY batch_id, position
    ) t
    """,
    f"""
    SELECT count(*) FROM answers a JOIN failures f USING (batch_id, position) WHERE a.batch_id = {_MINE}
    """,
    # Of a respondent's answers to a challenge the first counts, by when it was given and then as it was accepted.
    f"""
    SELECT count(*) FROM (
        SELECT a.counted, row_number() OVER (
            PARTITION BY a.challenge_id, a.respondent_id ORDER BY a.answered_at, a.batch_id, a.position
        ) = 1 AS first
        FROM answers a WHERE a.batch_id = {_MINE}
    ) t WHERE counted <> first
    """,
)

_STATISTICS = f"""
WITH size AS (
    SELECT count(*)::int AS k FROM project_classes WHERE project_id = :p
), counted AS (
    SELECT a.respondent_id, a.choice, c.raw, c.gold
    FROM answers a JOIN consensus c ON c.challenge_id = a.challenge_id
    WHERE a.counted AND c.project_id = :p AND a.batch_id = {_MINE}
), mass AS (
    SELECT respondent_id, truth * k + choice + 1 AS place,
           sum(CASE WHEN gold IS NULL THEN coalesce(raw[truth + 1], 0) ELSE (gold = truth)::int END) AS clamped,
           sum(coalesce(raw[truth + 1], 0)) AS open
    FROM size, counted, generate_series(0, k - 1) AS truth WHERE choice >= 0 GROUP BY 1, 2
), stored AS (
    SELECT respondent_id, place, (CAST(:clamped AS float8[]))[(n - 1) * k * k + place] AS clamped,
           (CAST(:open AS float8[]))[(n - 1) * k * k + place] AS open
    FROM size, unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS s(respondent_id, n), generate_series(1, k * k) AS place
), given AS (
    SELECT respondent_id, count(*) FILTER (WHERE choice >= 0) AS answers, count(*) FILTER (WHERE choice < 0) AS skips
    FROM counted GROUP BY 1
)
SELECT count(*) FROM (
    SELECT respondent_id FROM stored FULL JOIN mass USING (respondent_id, place)
    WHERE abs(coalesce(stored.clamped, 0) - coalesce(mass.clamped, 0)) > :tolerance
    OR abs(coalesce(stored.open, 0) - coalesce(mass.open, 0)) > :tolerance
    UNION
    SELECT respondent_id
    FROM unnest(CAST(:ids AS bigint[]), CAST(:answers AS bigint[]), CAST(:skips AS bigint[]))
        AS s(respondent_id, answers, skips)
    LEFT JOIN given USING (respondent_id)
    WHERE (s.answers, s.skips) <> (coalesce(given.answers, 0), coalesce(given.skips, 0))
) wrong
"""

_CONSENSUS = f"""
SELECT count(*) FROM consensus c LEFT JOIN (
    SELECT challenge_id, count(*) FILTER (WHERE choice >= 0) AS answers, count(*) FILTER (WHERE choice < 0) AS skips
    FROM answers WHERE counted AND batch_id = {_MINE} GROUP BY 1
) a USING (challenge_id)
WHERE c.project_id = :p AND (c.answers, c.skips) <> (coalesce(a.answers, 0), coalesce(a.skips, 0))
"""

_GOLD = """
SELECT count(*) FROM (SELECT challenge_id, gold FROM consensus WHERE project_id = :p) c
LEFT JOIN gold g USING (challenge_id)
WHERE c.gold IS DISTINCT FROM CASE WHEN g.state = 'active' THEN g.answer END
"""

_LEFT = """
SELECT (
    SELECT count(*) FROM batches
    WHERE project_id = :p AND state = 'claimed' AND lease_until < now() - CAST(:longest AS interval)
) + (
    SELECT count(*) FROM model_runs
    WHERE project_id = :p AND state = 'running' AND lease_until < now() - CAST(:longest AS interval)
)
"""

_FEED = (
    # Every version that a challenge has reached is in the feed once, where the challenge says.
    """
    SELECT count(*) FROM (
        SELECT c.challenge_id, v.version, c.positions[v.version] AS position
        FROM consensus c, generate_series(1, greatest(c.version, cardinality(c.positions))) AS v(version)
        WHERE c.project_id = :p
    ) reached FULL JOIN (SELECT * FROM events WHERE project_id = :p) told USING (challenge_id, version, position)
    WHERE reached.challenge_id IS NULL OR told.project_id IS NULL
    """,
    # Of the view `verdicts` those of all projects would be told apart.
    """
    SELECT count(*) FROM consensus c
    LEFT JOIN (
        SELECT challenge_id, count(*) AS versions FROM (
            SELECT unnest(challenge_ids) AS challenge_id FROM bulletins WHERE project_id = :p
            UNION ALL SELECT challenge_id FROM retained_verdicts
        ) told GROUP BY 1
    ) v USING (challenge_id)
    WHERE c.project_id = :p AND c.version <> coalesce(v.versions, 0)
    """,
    """
    SELECT abs(coalesce(max(position), 0) - count(*))
        + abs(coalesce(max(position), 0) - (SELECT coalesce(max(events), 0) FROM turns WHERE project_id = :p))
    FROM events WHERE project_id = :p
    """,
)

_UNSETTLED = """
SELECT 'batch ' || state || ' until ' || coalesce(lease_until, due_at) || ': ' || coalesce(error, 'no error')
FROM batches WHERE project_id = :p AND state IN ('waiting', 'claimed')
UNION ALL SELECT 'model run ' || id || ' ' || state || ', ' || cause
FROM model_runs WHERE project_id = :p AND state IN ('waiting', 'running')
UNION ALL SELECT 'statistics owed since turn ' || paid || ' of ' || number
FROM turns WHERE project_id = :p AND paid < number
UNION ALL SELECT 'gold not followed, challenge ' || challenge_id FROM gold WHERE project_id = :p AND NOT applied
"""
