"""The versions of a challenge's verdict, as they were published."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from db.errors import NotFoundError
from db.models.challenge import STATUSES
from db.models.verdict import CAUSES


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version; the posterior by class code, shorter than K before classes were added."""

    version: int
    at: datetime
    answer: int | None
    confidence: float
    posterior: list[float]
    status: str
    cause: str
    answers: int
    skips: int
    model_run: str | None
    configuration: str | None
    input_digest: int


_SELECT = """
WITH challenge AS (
    SELECT c.id, c.project_id, s.positions
    FROM challenges c JOIN consensus s ON s.challenge_id = c.id WHERE c.project_id = :project AND c.key = :key
), published AS (
    SELECT e.version, b.created_at, nullif(b.answers[e.place], -1) AS answer, b.confidences[e.place] AS confidence,
           b.posteriors[(e.place - 1) * e.classes + 1 : e.place * e.classes] AS posterior,
           (CAST(:statuses AS text[]))[b.statuses[e.place] + 1] AS status,
           (CAST(:causes AS text[]))[b.causes[e.place] + 1] AS cause,
           b.answered[e.place] AS answers, b.skips[e.place] AS skips, b.model_run_id, b.configuration_id,
           b.digests[e.place] AS input_digest
    FROM challenge c
    CROSS JOIN LATERAL unnest(c.positions) WITH ORDINALITY AS p(position, version)
    CROSS JOIN LATERAL (
        SELECT * FROM bulletins WHERE project_id = c.project_id AND first <= p.position ORDER BY first DESC LIMIT 1
    ) b
    CROSS JOIN LATERAL (
        SELECT p.version::int AS version, (p.position - b.first + 1)::int AS place,
               cardinality(b.posteriors) / cardinality(b.versions) AS classes
    ) e
    UNION ALL
    SELECT r.version, r.created_at, r.answer, r.confidence, r.posterior, r.status, r.cause, r.answers, r.skips,
           r.model_run_id, r.configuration_id, r.input_digest
    FROM challenge c JOIN retained_verdicts r ON r.challenge_id = c.id
)
SELECT v.version, v.created_at, v.answer, v.confidence, v.posterior, v.status, v.cause, v.answers, v.skips,
       r.uid::text, g.hash, v.input_digest
FROM published v
LEFT JOIN model_runs r ON r.id = v.model_run_id
LEFT JOIN configurations g ON g.id = v.configuration_id
"""
_NAMES = {"statuses": list(STATUSES), "causes": list(CAUSES)}


def get(connection: Connection, project_id: int, challenge: str, version: int) -> VersionRow:
    """One version of the verdict on a challenge.

    Raises:
        NotFoundError: the project has no such challenge, or its verdict no such version.
    """
    query = text(f"{_SELECT} WHERE v.version = :version")
    parameters = {"project": project_id, "key": challenge, "version": version, **_NAMES}
    row = connection.execute(query, parameters).one_or_none()
    if row is None:
        raise NotFoundError(f"the verdict on a challenge {challenge!r} has no version {version}")
    return VersionRow(*row)


def page(
    connection: Connection, project_id: int, challenge: str, *, after: int, limit: int, unanswered: bool = False
) -> list[VersionRow]:
    """The versions of the verdict on a challenge, oldest first, those after the version `after`.

    `unanswered`: also of a challenge without a graded answer, which has none. Almost all of these are gold that nobody
    has met yet.

    Raises:
        NotFoundError: the project has no such challenge.
    """
    query = text(f"{_SELECT} WHERE v.version > :after ORDER BY v.version LIMIT :limit")
    parameters = {"project": project_id, "key": challenge, "after": after, "limit": limit, **_NAMES}
    rows = [VersionRow(*row) for row in connection.execute(query, parameters)]
    if not rows:
        known = text(
            "SELECT 1 FROM challenges ch LEFT JOIN consensus c ON c.challenge_id = ch.id"
            " WHERE ch.project_id = :project AND ch.key = :key AND (:unanswered OR c.answers + c.skips > 0)"
        )
        if connection.execute(known, parameters | {"unanswered": unanswered}).one_or_none() is None:
            raise NotFoundError(f"the project has no challenge {challenge!r}")
    return rows
