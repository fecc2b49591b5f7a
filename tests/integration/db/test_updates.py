"""Updates from arrays: the same rows whatever their number, and none but those."""

import numpy as np
import pytest
from sqlalchemy import Engine, text

from db import statistics, transactions, turns
from db.questions import ask
from db.updates import MANY, Update
from db.writes import Writes
from tests.integration.workers.crowd import execute, make_project, scalar

STORED = 5 * MANY
ADD = Update(
    "UPDATE respondent_statistics s SET answers = answers + t.more"
    " FROM unnest(CAST(:ids AS bigint[]), CAST(:more AS int[])) AS t(id, more) WHERE s.respondent_id = t.id",
    "s.respondent_id",
)
READ = "SELECT sum(idx_tup_fetch + seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname = 'respondent_statistics'"


@pytest.fixture
def filled(engine: Engine) -> int:
    """The first of STORED respondents."""
    project = make_project(engine)
    make = (
        "WITH made AS (INSERT INTO respondents (project_id, key) SELECT :p, n::text FROM generate_series(1, :n) n"
        " RETURNING id) INSERT INTO respondent_statistics (respondent_id, project_id) SELECT id, :p FROM made"
    )
    execute(engine, make, p=project, n=STORED)
    with engine.connect() as connection:
        return int(scalar(connection, "SELECT min(respondent_id) FROM respondent_statistics"))


@pytest.mark.parametrize("number", [1, MANY - 1, MANY, 2 * MANY])
def test_each_row_gets_what_is_its_own_and_no_other_is_read(engine: Engine, filled: int, number: int) -> None:
    more = np.random.default_rng(number).permutation(number).astype(np.int32)
    ids = filled + np.arange(number, dtype=np.int64)
    touched: list[int] = []
    with engine.begin() as connection:
        transactions.adopt(connection, transactions.BY_INDEX)
        before = scalar(connection, READ)
        with Writes(connection) as writes:
            ADD.send(writes, {"ids": ids, "more": more}, touched.append)
        assert scalar(connection, READ) - before <= 2 * number
        assert connection.scalar(text("SHOW enable_nestloop")) == "on"  # for whatever comes behind it
    assert touched == [number]
    with engine.connect() as connection:
        rows = connection.scalars(text("SELECT answers FROM respondent_statistics ORDER BY respondent_id")).all()
    assert rows == [*more.tolist(), *[0] * (STORED - number)]


def test_statistics_of_very_many(engine: Engine, filled: int) -> None:
    ids = filled + np.arange(STORED, dtype=np.int64)
    none, flat = np.zeros(STORED, dtype=np.int64), np.full(STORED, 0.5)
    counts = np.random.default_rng(1).random((STORED, 9))
    with engine.begin() as connection:
        project = scalar(
            connection, "SELECT project_id FROM respondent_statistics WHERE respondent_id = :id", id=filled
        )
        turn = turns.take(connection, project, most=60)
        with Writes(connection) as writes:
            statistics.write(
                writes, project, ids, counts, counts, answers=none, skips=none, accuracy=flat, low=flat, high=flat
            )
    with engine.connect() as connection:
        held = statistics.counts(ask(connection, statistics.query(ids).question))
    np.testing.assert_array_equal(held.packed.by_length[9][1], counts)
    np.testing.assert_array_equal(held.gold.by_length[9][1], counts)
    assert set(held.turn.tolist()) == {turn.number}
