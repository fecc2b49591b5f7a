"""Reading the books: what the rows say, whatever the API says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sqlalchemy import Engine, Row, text

from benchmarks.chaos.books import statistics
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


_EXPECTED = text("""
SELECT a.respondent_id, a.choice, k - 1 AS truth, sum(c.raw[k]) AS counts, count(*) AS answers
FROM answers a
JOIN consensus c ON c.challenge_id = a.challenge_id
CROSS JOIN generate_series(1, :classes) k
WHERE a.counted AND c.project_id = :project GROUP BY 1, 2, 3
""")


def deviation(engine: Engine, classes: int) -> float:
    """The largest difference between statistics and a recount from raw posteriors and counted answers, without gold."""
    return max(_deviation(engine, row.id, classes) for row in _projects(engine))


def _projects(engine: Engine) -> Sequence[Row[Any]]:
    with engine.connect() as connection:
        return connection.execute(text("SELECT id FROM projects")).all()


def _deviation(engine: Engine, project_id: int, classes: int) -> float:
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        plan, held = statistics(connection, project_id)
        cells = connection.execute(_EXPECTED, {"project": project_id, "classes": classes}).all()
    expected, answers = np.zeros((len(held.ids), classes, classes)), np.zeros(len(held.ids))
    for cell in cells:
        row = np.searchsorted(held.ids, cell.respondent_id)
        expected[row, cell.truth, cell.choice] = cell.counts
        answers[row] += cell.answers / classes
    stored = plan.coded_statistics(held.clamped).reshape(expected.shape)
    return float(max(np.abs(stored - expected).max(initial=0), np.abs(held.answers - answers).max(initial=0)))


@contextmanager
def held(engine: Engine, table: str) -> Iterator[None]:
    """Hold the locks of all rows of `consensus` or `respondent_statistics`, so that claims stop in the middle."""
    with engine.connect() as connection, connection.begin() as transaction:
        connection.execute(text(f"SELECT 1 FROM {table} ORDER BY 1 FOR UPDATE"))
        yield
        transaction.rollback()


def claimed(engine: Engine) -> int:
    """Batches under a claim that holds."""
    query = text("SELECT count(*) FROM batches WHERE state = 'claimed' AND lease_until > now()")
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())
