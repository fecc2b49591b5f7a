"""The consensus on challenges: reading and writing whole sets of rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from db import columns
from db.answers import RECORD
from db.columns import Columns, Lists, Query
from db.errors import NotFoundError
from db.models.challenge import STATUSES
from db.pieces import Pieces
from db.updates import Update
from db.writes import Writes

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """I rows of consensus, by challenge id."""

    ids: Ints
    """(I,) ascending."""
    revision: Ints
    raw: Lists
    """What statistics hold of each, by class code; shorter than K before classes were added, empty before the first
    answer."""
    posterior: Lists
    """What is published of each, likewise."""
    counted_as: Ints
    """Class code that statistics count each as, -1 where they count it as no gold."""
    gold: Ints
    """Class code that gold says now, likewise."""
    answer: Ints
    """Class code, -1 for none."""
    status: Ints
    """Place in `STATUSES`."""
    version: Ints
    reported: Floats
    """Confidence of that version, NaN before the first."""
    packed: Pieces
    """Answers to each."""


_NO_PIECES = Pieces.of(RECORD, b"", np.empty(0, dtype=np.int64))
_STATUSES = ", ".join(f"'{status}'" for status in STATUSES)

_READ = f"""
SELECT challenge_id, revision, raw, posterior, coalesce(gold, -1) AS counted_as,
       coalesce((SELECT g.answer FROM gold g WHERE g.challenge_id = c.challenge_id AND g.state = 'active'), -1) AS gold,
       coalesce(answer, -1) AS answer,
       array_position(ARRAY[{_STATUSES}], status) - 1 AS status, version, coalesce(reported, 'NaN') AS reported,
       CASE WHEN revision > 0 THEN octet_length(packed) ELSE 0 END AS size,
       CASE WHEN revision > 0 THEN packed ELSE '' END AS packed
FROM consensus c WHERE {{}} ORDER BY challenge_id
"""


def query(ids: Ints) -> Query:
    """For what is stored of challenges and of their answers; those that do not exist are left out."""
    return query_where("challenge_id = ANY(%(ids)s)", {"ids": ids})


def query_where(condition: str, parameters: Mapping[str, Any]) -> Query:
    """The same of challenges, ascending by id, of which a condition on `challenge_id` holds."""
    return Query(
        _READ.format(condition),
        parameters,
        numbers="challenge_id revision counted_as gold answer status version reported size",
        lists="raw posterior",
        blobs="packed",
    )


def rows(found: Columns) -> Rows:
    """What the query has found."""
    numbers = {name: column.astype(np.int64) for name, column in found.numbers.items() if name != "reported"}
    return Rows(
        numbers["challenge_id"],
        numbers["revision"],
        found.lists["raw"],
        found.lists["posterior"],
        numbers["counted_as"],
        numbers["gold"],
        numbers["answer"],
        numbers["status"],
        numbers["version"],
        found.numbers["reported"],
        Pieces.of(RECORD, found.blobs["packed"], numbers["size"]),
    )


def gold(connection: Connection, ids: Ints) -> dict[int, int]:
    """Class code of those of the challenges that are gold now, by id."""
    command = "SELECT challenge_id, answer FROM gold WHERE challenge_id = ANY(%(ids)s) AND state = 'active'"
    found = columns.select(connection, command, {"ids": ids}, numbers="challenge_id answer").numbers
    return dict(zip(found["challenge_id"].tolist(), found["answer"].tolist(), strict=True))


def asked(connection: Connection, project_id: int) -> tuple[Ints, Ints]:
    """Answers and skips of each of the project's challenges, ascending by these."""
    query = text(
        "SELECT answers, skips, count(*) AS challenges FROM consensus WHERE project_id = :project"
        " GROUP BY answers, skips ORDER BY answers, skips"
    )
    rows = connection.execute(query, {"project": project_id}).all()
    times = [row.challenges for row in rows]
    return (
        np.repeat(np.array([row.answers for row in rows], dtype=np.int64), times),
        np.repeat(np.array([row.skips for row in rows], dtype=np.int64), times),
    )


def stale(connection: Connection, project_id: int, *, after: int, limit: int) -> list[int]:
    """Provisional challenges with ids above `after`, in id order."""
    query = text(
        "SELECT challenge_id FROM consensus WHERE project_id = :project AND NOT final AND challenge_id > :after"
        " AND answers + skips > 0 ORDER BY challenge_id LIMIT :limit"
    )
    return list(connection.execute(query, {"project": project_id, "after": after, "limit": limit}).scalars())


_WRITE = Update(
    f"""
UPDATE consensus SET
    raw = (CAST(:raw AS float8[]))[(place - 1) * :classes + 1 : place * :classes],
    posterior = (CAST(:posteriors AS float8[]))[(place - 1) * :classes + 1 : place * :classes],
    confidence = (CAST(:confidences AS float8[]))[place], answer = nullif((CAST(:answer AS smallint[]))[place], -1),
    answers = (CAST(:answers AS int[]))[place], skips = (CAST(:skips AS int[]))[place],
    status = (ARRAY[{_STATUSES}])[(CAST(:status AS smallint[]))[place] + 1],
    version = (CAST(:version AS int[]))[place], reported = nullif((CAST(:reported AS float8[]))[place], 'NaN'),
    gold = nullif((CAST(:gold AS smallint[]))[place], -1),
    revision = revision + (CAST(:changed AS boolean[]))[place]::int, final = (CAST(:final AS boolean[]))[place],
    model_run_id = :run, updated_at = now(),
    packed = coalesce(
        substring(CAST(:packed AS bytea) FROM (CAST(:starts AS int[]))[place] FOR (CAST(:sizes AS int[]))[place]),
        packed
    ),
    positions = CASE (CAST(:positions AS bigint[]))[place]
        WHEN 0 THEN positions ELSE positions || (CAST(:positions AS bigint[]))[place]
    END
FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS t(id, place) WHERE challenge_id = id""",
    "challenge_id",
)
"""Arrays are read at a row's place in them: to unnest them all would make each row twice more, on its way to the join.
"""


def write(
    writes: Writes,
    ids: Ints,
    raw: Floats,
    posterior: Floats,
    *,
    confidence: Floats,
    answer: Ints,
    answers: Ints,
    skips: Ints,
    status: Ints,
    version: Ints,
    position: Ints,
    reported: Floats,
    gold: Ints,
    changed: npt.NDArray[np.bool_],
    final: npt.NDArray[np.bool_],
    run_id: int | None,
    packed: Pieces | None = None,
) -> None:
    """Put new posteriors in the place of those of challenges; this must be their project's turn.

    Args:
        ids: (I,) challenges.
        raw: (I, K) what statistics hold of them from now on.
        posterior: (I, K) what is published.
        confidence: (I,).
        answer: (I,) class code, -1 for none.
        answers: (I,) counted answers; `skips` likewise.
        status: (I,) place in `STATUSES`.
        version: (I,) the latest, with the confidence that it `reported`.
        position: (I,) of that version in the feed where it is new, else 0.
        gold: (I,) class code that statistics count them as from now on, -1 where it is no gold.
        changed: (I,) whether the counted answers are others than before.
        final: (I,) whether the posteriors are a refit's.
        run_id: the model run whose fit or prior made the posteriors.
        packed: each one's answers; None: they are what they were.

    When the writes are settled, NotFoundError is raised if some do not exist.
    """

    def check(written: int) -> None:
        if written != len(ids):
            raise NotFoundError(f"{len(ids) - written} of {len(ids)} challenges are not there")

    _WRITE.send(
        writes,
        {
            "ids": ids,
            "raw": raw,
            "posteriors": posterior,
            "classes": posterior.shape[1],
            "confidences": confidence,
            "answer": answer.astype(np.int16),
            "answers": answers.astype(np.int32),
            "skips": skips.astype(np.int32),
            "status": status.astype(np.int16),
            "version": version.astype(np.int32),
            "positions": position,
            "reported": reported,
            "gold": gold.astype(np.int16),
            "changed": changed,
            "final": final,
            "run": run_id,
            **(_NO_PIECES if packed is None else packed).parameters,
        },
        check,
    )


_REPACK = text("""
UPDATE consensus c SET packed = substring(CAST(:packed AS bytea) FROM t.start FOR t.size)
FROM unnest(CAST(:ids AS bigint[]), CAST(:starts AS int[]), CAST(:sizes AS int[])) AS t(id, start, size)
WHERE c.challenge_id = t.id
""")


def repack(writes: Writes, ids: Ints, packed: Pieces) -> None:
    """Store other answers with challenges of which nothing else changes; this must be their project's turn."""
    writes.send(_REPACK, {"ids": ids, **packed.parameters})
