"""The versions of a challenge's verdict, as they were published."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from db.errors import NotFoundError


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
SELECT v.version, v.created_at, v.answer, v.confidence, v.posterior, v.status, v.cause, v.answers, v.skips,
       r.uid::text, g.hash, v.input_digest
FROM challenges c
JOIN verdicts v ON v.challenge_id = c.id
LEFT JOIN model_runs r ON r.id = v.model_run_id
LEFT JOIN configurations g ON g.id = v.configuration_id
WHERE c.project_id = :project AND c.key = :key
"""


def get(connection: Connection, project_id: int, challenge: str, version: int) -> VersionRow:
    """One version of the verdict on a challenge.

    Raises:
        NotFoundError: the project has no such challenge, or its verdict no such version.
    """
    query = text(f"{_SELECT} AND v.version = :version")
    row = connection.execute(query, {"project": project_id, "key": challenge, "version": version}).one_or_none()
    if row is None:
        raise NotFoundError(f"the verdict on a challenge {challenge!r} has no version {version}")
    return VersionRow(*row)


def page(connection: Connection, project_id: int, challenge: str, *, after: int, limit: int) -> list[VersionRow]:
    """The versions of the verdict on a challenge, oldest first, those after the version `after`.

    Raises:
        NotFoundError: the project has no such challenge.
    """
    query = text(f"{_SELECT} AND v.version > :after ORDER BY v.version LIMIT :limit")
    parameters = {"project": project_id, "key": challenge, "after": after, "limit": limit}
    rows = [VersionRow(*row) for row in connection.execute(query, parameters)]
    if not rows:
        known = text("SELECT 1 FROM challenges WHERE project_id = :project AND key = :key")
        if connection.execute(known, parameters).one_or_none() is None:
            raise NotFoundError(f"the project has no challenge {challenge!r}")
    return rows
