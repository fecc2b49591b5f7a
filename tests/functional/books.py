"""Reading the books: what the rows say, whatever the API says."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text

from db import ledger
from db.ledger import LedgerRow


def balance(engine: Engine, project: str) -> LedgerRow:
    """The ledger of one project."""
    with engine.connect() as connection:
        return next(row for row in ledger.read(connection) if row.project == project)


def everything_graded(engine: Engine, project: str) -> bool:
    """Whether nothing waits any more, and something was accepted."""
    row = balance(engine, project)
    return row.waiting == 0 and row.accepted > 0


def twice(engine: Engine) -> int:
    """Answers that are stored more than once."""
    query = text(
        "SELECT count(*) FROM (SELECT 1 FROM answers GROUP BY batch_id, challenge_id, respondent_id, choice, position"
        " HAVING count(*) > 1) t"
    )
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


_DEVIATION = text("""
WITH expected AS (
    SELECT a.respondent_id, a.choice, k - 1 AS truth, sum(c.raw[k]) AS counts
    FROM answers a
    JOIN consensus c ON c.challenge_id = a.challenge_id
    CROSS JOIN generate_series(1, :classes) k
    WHERE a.counted GROUP BY 1, 2, 3
)
SELECT coalesce(max(abs(
    coalesce(e.counts, 0) - coalesce(s.counts[coalesce(e.truth, 0) * :classes + coalesce(e.choice, 0) + 1], 0)
)), 0),
(SELECT coalesce(max(abs(s.answers - (SELECT count(*) FROM answers a
    WHERE a.respondent_id = s.respondent_id AND a.counted))), 0) FROM respondent_statistics s)
FROM expected e FULL JOIN respondent_statistics s USING (respondent_id)
""")


def deviation(engine: Engine, classes: int) -> float:
    """The largest difference between stored statistics and a recount from raw posteriors and counted answers."""
    with engine.connect() as connection:
        counts, answers = connection.execute(_DEVIATION, {"classes": classes}).one()
    return max(float(counts), float(answers))


@contextmanager
def held(engine: Engine, table: str) -> Iterator[None]:
    """Hold the locks of all rows of `consensus` or `respondent_statistics`, so that claims stop in the middle."""
    with engine.connect() as connection, connection.begin() as transaction:
        connection.execute(text(f"SELECT 1 FROM {table} ORDER BY 1 FOR UPDATE"))
        yield
        transaction.rollback()


def waiting_for_locks(engine: Engine) -> int:
    """How many workers wait for a row that somebody else holds."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'touchstone-%'"
    )
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def claimed(engine: Engine) -> int:
    """Batches under a claim that holds."""
    query = text("SELECT count(*) FROM batches WHERE state = 'claimed' AND lease_until > now()")
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())
