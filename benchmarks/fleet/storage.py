"""What is on disk for each answer."""

from dataclasses import dataclass

from sqlalchemy import text

from benchmarks.fleet.run import settle
from benchmarks.fleet.stack import Stack

_ANSWERS = """
SELECT pg_total_relation_size('sheets') + pg_total_relation_size('consensus') * (
    SELECT coalesce(sum(pg_column_size(packed))::float8 / nullif(sum(pg_column_size(c.*)), 0), 0) FROM consensus c
)
"""
"""The answers themselves: by batch with their index; and with their challenges, whose table, with its indexes, the room
in its pages and its dead rows, is theirs for as much as they take of a row."""

_SIZES = text("""
SELECT coalesce(parent.relname, t.relname) AS name, sum(pg_total_relation_size(t.oid))::bigint AS bytes
FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_inherits i ON i.inhrelid = t.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
WHERE n.nspname = 'public' AND t.relkind IN ('r', 'p')
GROUP BY 1 HAVING sum(pg_total_relation_size(t.oid)) > 0 ORDER BY 2 DESC
""")
_HOT = text("""
SELECT relname AS name, n_tup_hot_upd::float8 / n_tup_upd AS share FROM pg_stat_user_tables
WHERE schemaname = 'public' AND n_tup_upd > 1000 ORDER BY relname
""")
_UNUSED = text("""
SELECT s.indexrelname FROM pg_stat_user_indexes s JOIN pg_index i USING (indexrelid)
WHERE s.schemaname = 'public' AND s.idx_scan = 0 AND NOT i.indisunique AND pg_relation_size(s.indexrelid) > 1000000
ORDER BY 1
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
    hot_updates: dict[str, float]
    """By table, the share of its updates that touched no index (heap-only tuples)."""
    unused_indexes: list[str]
    """Of more than 1 MB, that nothing has looked into."""


def stored(stack: Stack) -> int:
    """Answers that are graded and kept."""
    return int(stack.scalar(_STORED))


def measure(stack: Stack) -> Storage:
    """What is on disk now."""
    settle(stack)
    count = max(1, stored(stack))
    with stack.engine.connect() as connection:
        sizes = {row.name: row.bytes for row in connection.execute(_SIZES)}
        hot = {row.name: round(row.share, 4) for row in connection.execute(_HOT)}
        unused = list(connection.execute(_UNUSED).scalars())
    return Storage(
        count,
        round(stack.scalar(_ANSWERS) / count, 1),
        {name: round(size / count, 1) for name, size in sizes.items() if size / count >= 0.05},
        hot,
        unused,
    )


def accuracy(stack: Stack) -> float:
    """Share of the gold whose respondents' consensus is right."""
    return round(stack.scalar(_ACCURACY), 4)
