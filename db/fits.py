"""What fits have cost of late that nobody asked for: lessons, and refits by growth, age or gold."""

from sqlalchemy import Connection, text

_SPENT = text("""
WITH late AS (
    SELECT clock_timestamp() - make_interval(secs => :window) AS since
), fits AS (
    SELECT (metrics->>'cost')::float8 AS cost FROM model_runs, late
    WHERE cause <> 'requested' AND finished_at > late.since
    UNION ALL SELECT (prior->>'cost')::float8 FROM populations, late WHERE made_at > late.since
), first AS (
    SELECT accepted_at FROM batches ORDER BY id LIMIT 1
)
SELECT coalesce((SELECT extract(epoch FROM clock_timestamp() - accepted_at)::float8 FROM first), 0) AS since,
       coalesce((SELECT sum(cost) FROM fits), 0) AS spent
""")


def spent(connection: Connection, window: float) -> tuple[float, float]:
    """Seconds since the first answer came, and seconds of processor time that the fits of so many seconds have cost."""
    row = connection.execute(_SPENT, {"window": window}).one()
    return row.since, row.spent
