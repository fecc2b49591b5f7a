"""Answers that could not be graded, each with its reason."""

from collections.abc import Sequence

from sqlalchemy import text

from db.writes import Writes

_RECORD = text("""
INSERT INTO failures (batch_id, position, state, reason)
SELECT CAST(:batch AS bigint), position, CAST(:state AS text), reason
FROM unnest(CAST(:positions AS int[]), CAST(:reasons AS text[])) AS t(position, reason)
""")


def record(writes: Writes, batch_id: int, state: str, failures: Sequence[tuple[int, str]]) -> None:
    """Note answers of a batch as `rejected` or `dead`: position and reason of each."""
    if failures:
        writes.send(
            _RECORD,
            {
                "batch": batch_id,
                "state": state,
                "positions": [position for position, _ in failures],
                "reasons": [reason for _, reason in failures],
            },
        )
