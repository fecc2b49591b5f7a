"""What an explanation of a verdict reads beside the answers and their respondents' statistics."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from db.errors import NotFoundError


def find(connection: Connection, project_id: int, challenge: str) -> int:
    """The id of a challenge with a verdict to explain.

    Raises:
        NotFoundError: the project has no such challenge, or no answer to it counts yet.
    """
    query = text(
        "SELECT ch.id FROM challenges ch JOIN consensus c ON c.challenge_id = ch.id"
        " WHERE ch.project_id = :project AND ch.key = :key AND c.answers > 0"
    )
    found = connection.execute(query, {"project": project_id, "key": challenge}).scalar_one_or_none()
    if found is None:
        raise NotFoundError(f"no answer to a challenge {challenge!r} is graded")
    return int(found)


@dataclass(frozen=True, slots=True)
class Published:
    """A challenge's verdict as it stands; the posterior by class code."""

    challenge: str
    answer: int | None
    posterior: list[float]
    version: int
    final: bool
    model_run: str | None


def published(connection: Connection, project_id: int, challenge_id: int) -> Published | None:
    """The verdict on a challenge; None if it has no counted answer, or is not of this project."""
    query = text(
        "SELECT ch.key, c.answer, c.posterior, c.version, c.final, r.uid::text"
        " FROM challenges ch JOIN consensus c ON c.challenge_id = ch.id LEFT JOIN model_runs r ON r.id = c.model_run_id"
        " WHERE ch.project_id = :project AND ch.id = :id AND c.answers > 0"
    )
    row = connection.execute(query, {"project": project_id, "id": challenge_id}).one_or_none()
    return None if row is None else Published(*row)


def names(connection: Connection, respondent_ids: Sequence[int]) -> dict[int, str]:
    """Keys of respondents by id, in the order of the keys' bytes."""
    query = text("SELECT id, key FROM respondents WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY key")
    return {row.id: row.key for row in connection.execute(query, {"ids": list(respondent_ids)})}
