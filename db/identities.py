"""Names to ids: the keys of challenges and respondents, made when first met.

A key's id never changes. New keys are inserted in key order, so that two transactions that make the same ones wait for
each other instead of deadlocking. The row that carries the state is made together with the name.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, text


def challenges(connection: Connection, project_id: int, keys: Sequence[str]) -> dict[str, int]:
    """Ids of the challenges with these keys; belongs into a transaction of its own."""
    return _resolve(connection, "challenges", "consensus", "challenge_id", project_id, keys)


def respondents(connection: Connection, project_id: int, keys: Sequence[str]) -> dict[str, int]:
    """Ids of the respondents with these keys; belongs into a transaction of its own."""
    return _resolve(connection, "respondents", "respondent_statistics", "respondent_id", project_id, keys)


def _resolve(
    connection: Connection, table: str, state: str, column: str, project_id: int, keys: Sequence[str]
) -> dict[str, int]:
    find = text(f"SELECT key, id FROM {table} WHERE project_id = :project AND key = ANY(CAST(:keys AS text[]))")
    wanted = sorted(set(keys), key=str.encode)
    ids = {row.key: row.id for row in connection.execute(find, {"project": project_id, "keys": wanted})}
    missing = [key for key in wanted if key not in ids]
    if not missing:
        return ids
    make = text(f"""
        WITH made AS (
            INSERT INTO {table} (project_id, key)
            SELECT :project, key FROM unnest(CAST(:keys AS text[])) WITH ORDINALITY AS t(key, place) ORDER BY place
            ON CONFLICT (project_id, key) DO NOTHING RETURNING id, key
        ), stated AS (
            INSERT INTO {state} ({column}, project_id) SELECT id, :project FROM made
        )
        SELECT key, id FROM made
    """)
    ids |= {row.key: row.id for row in connection.execute(make, {"project": project_id, "keys": missing})}
    raced = [key for key in missing if key not in ids]
    if raced:  # made by another transaction in between, which our insert has waited for
        ids |= {row.key: row.id for row in connection.execute(find, {"project": project_id, "keys": raced})}
    return ids
