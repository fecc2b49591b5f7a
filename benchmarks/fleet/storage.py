"""What is on disk for each answer."""

from dataclasses import dataclass

from sqlalchemy import text

from benchmarks.fleet.run import settle
from benchmarks.fleet.stack import Stack

_ANSWERS = """
SELECT pg_total_relation_size('sheets') + (SELECT coalesce(sum(pg_column_size(packed)), 0) FROM consensus)
"""
"""The answers themselves: by batch with their index, and with their challenges."""

_SIZES = text("""
SELECT coalesce(parent.relname, t.relname) AS name, sum(pg_total_relation_size(t.oid))::bigint AS bytes
FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_inherits i ON i.inhrelid = t.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
WHERE n.nspname = 'public' AND t.relkind IN ('r', 'p')
GROUP BY 1 HAVING sum(pg_total_relation_size(t.oid)) > 0 ORDER BY 2 DESC
""")
_STORED = "SELECT coalesce(sum(answers - rejected), 0) FROM batches WHERE state = 'graded'"
_ACCURACY = """
SELECT coalesce(avg((c.answer = g.answer)::int), 0)
FROM gold g JOIN consensus c USING (challenge_id) WHERE c.answers > 0
"""


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes with indexes and what is kept out of line."""

    stored: int
    """Answers."""
    bytes_per_answer: float
    """Of the answers themselves."""
    tables: dict[str, float]
    """Bytes of every table per answer, largest first."""


def stored(stack: Stack) -> int:
    """Answers that are graded and kept."""
    return int(stack.scalar(_STORED))


def measure(stack: Stack) -> Storage:
    """What is on disk now."""
    settle(stack)
    count = max(1, stored(stack))
    with stack.engine.connect() as connection:
        sizes = {row.name: row.bytes for row in connection.execute(_SIZES)}
    return Storage(
        count,
        round(stack.scalar(_ANSWERS) / count, 1),
        {name: round(size / count, 1) for name, size in sizes.items() if size / count >= 0.05},
    )


def accuracy(stack: Stack) -> float:
    """Share of the gold whose respondents' consensus is right."""
    return round(stack.scalar(_ACCURACY), 4)
