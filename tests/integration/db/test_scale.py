"""What runs for every batch costs the same however much is stored: nothing of it reads a large table through."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text

from db import (
    answers,
    backlog,
    batches,
    claims,
    columns,
    consensus,
    current_verdicts,
    events,
    grades,
    identities,
    ledger,
    owed,
    projects,
    runs,
    statistics,
    versions,
)
from db.current_verdicts import VerdictFilter
from db.questions import ask_all
from db.writes import Writes
from tests.integration.workers.crowd import execute, make_project, new_batch, scalar, store

LARGE = (
    "sheets",
    "batches",
    "bulletins",
    "challenges",
    "consensus",
    "respondents",
    "respondent_statistics",
    "payloads_default",
)

FILL = """
INSERT INTO challenges (project_id, key) SELECT :project, 'c' || n FROM generate_series(1, 20000) n;
INSERT INTO consensus (challenge_id, project_id, posterior, raw, answers)
    SELECT id, project_id, '{0.9,0.05,0.05}', '{1,0,0}', 5 FROM challenges;
INSERT INTO respondents (project_id, key) SELECT :project, 'r' || n FROM generate_series(1, 20000) n;
INSERT INTO respondent_statistics (respondent_id, project_id) SELECT id, project_id FROM respondents;
INSERT INTO batches (uid, project_id, answers, lane, state, idempotency_key, digest, reply, finished_at)
    SELECT gen_random_uuid(), :project, 10, 'live', CASE WHEN n % 1000 = 0 THEN 'waiting' ELSE 'graded' END,
           'k' || n, '', '', now() - '1 day'::interval FROM generate_series(1, 10000) n;
INSERT INTO payloads (accepted_on, batch_id, media_type, body) SELECT current_date, id, '', '' FROM batches;
INSERT INTO sheets (batch_id, accepted_at, first, challenge_ids, respondent_ids, choices, grades)
    SELECT batch + n, now(), 0, ids, ids, array_fill(0::smallint, '{10}'), array_fill(0.5::real, '{10}')
    FROM generate_series(0, 9999) n, (SELECT min(id) AS batch FROM batches) b,
         LATERAL (SELECT array_agg((SELECT min(id) FROM challenges) + (10 * n + i) % 20000) AS ids
                  FROM generate_series(0, 9) i) a;
INSERT INTO bulletins (project_id, first, challenge_ids, versions, answers, confidences, statuses, causes, answered,
                       skips, digests, posteriors, answers_before, confidences_before, statuses_before)
    SELECT :project, 10 * n + 1, ids, array_fill(1 + n / 2000, '{10}'), zero, array_fill(0.5::float8, '{10}'), zero,
           zero, zero, zero, ids, array_fill(0.5::real, '{30}'), zero, array_fill(0.5::float8, '{10}'), zero
    FROM generate_series(0, 9999) n, (SELECT array_fill(0::smallint, '{10}') AS zero) z,
         LATERAL (SELECT array_agg((SELECT min(id) FROM challenges) + (10 * n + i) % 20000) AS ids
                  FROM generate_series(0, 9) i) a;
UPDATE consensus SET version = 5, positions = ARRAY(
    SELECT challenge_id - (SELECT min(id) FROM challenges) + 1 + 20000 * v FROM generate_series(0, 4) v);
INSERT INTO turns (project_id, number, events) VALUES (:project, 1, 100000);
INSERT INTO model_runs (project_id, state, cause, started_at, answers)
    VALUES (:project, 'done', 'growth', now(), 100000);
UPDATE projects SET current_run_id = (SELECT max(id) FROM model_runs) WHERE id = :project;
"""


@pytest.fixture
def filled(engine: Engine) -> tuple[int, int]:
    """A project with 100,000 answers, and one beside it with none."""
    large, small = make_project(engine, name="large"), make_project(engine, name="small")
    for statement in FILL.split(";")[:-1]:
        execute(engine, statement, project=large)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    return large, small


MANY = 40
TABLE = np.full((MANY, 3), 1 / 3)
FLAT = np.full(MANY, 0.5)
ONES = np.ones(MANY, dtype=np.int64)
SETTLED = VerdictFilter(status=["settled"])
FEW = [f"c{n}" for n in range(1, MANY + 1)]


def ids(connection: Connection, table: str, project: int) -> NDArray[np.int64]:
    """The first rows of a table with a row for each challenge, respondent or batch."""
    query = text(f"SELECT id FROM {table} WHERE project_id = :p ORDER BY id LIMIT {MANY}")
    return np.array(connection.scalars(query, {"p": project}).all(), dtype=np.int64)


def claim_and_finish(connection: Connection, project: int) -> None:
    claim = claims.claim(connection, project, "live", batches=64, answers=9999, lease=30)
    assert claim is not None
    ids = [batch.id for batch in claim.batches]
    claims.renew(connection, claim.id, ids, 30)
    with Writes(connection) as writes:
        claims.finish(writes, claim.id, ids, [0] * len(ids))


def write_consensus(connection: Connection, project: int) -> None:
    found = ids(connection, "challenges", project)
    columns.select_all(connection, [consensus.query(found)])
    consensus.gold(connection, found)
    flags = np.zeros(MANY, dtype=bool)
    with Writes(connection) as writes:
        consensus.write(
            writes,
            found,
            TABLE,
            TABLE,
            confidence=FLAT,
            answer=ONES * 0,
            answers=ONES,
            skips=ONES * 0,
            status=ONES * 0,
            version=ONES,
            position=ONES,
            reported=FLAT,
            gold=-ONES,
            changed=flags,
            final=flags,
            run_id=None,
        )


def write_statistics(connection: Connection, project: int) -> None:
    found = ids(connection, "respondents", project)
    ask_all(connection, [owed.question(project), statistics.query(found).question])
    none, table = ONES * 0, np.zeros((MANY, 9))
    with Writes(connection) as writes:
        statistics.write(
            writes, project, found, table, table, answers=none, skips=none, accuracy=FLAT, low=FLAT, high=FLAT
        )


def recount(connection: Connection, project: int) -> None:
    found = ids(connection, "batches", project)
    with Writes(connection) as writes:
        answers.recount(writes, found, ONES, ONES == 1)


def look_at_batches(connection: Connection, project: int) -> None:
    middle = int(ids(connection, "batches", project)[0]) + 5000
    (first, *_) = batches.page(connection, project, state=None, lane=None, after=middle, limit=100)
    batches.page(connection, project, state="dead", lane=None, after=0, limit=100)
    batches.get(connection, project, first.uid)
    grades.of_batch(connection, first.id, after=-1, limit=100)
    grades.page(connection, project, after=(first.id, 3), limit=100)


HOT: dict[str, Callable[[Connection, int], object]] = {
    "accept": lambda c, p: store(c, [new_batch(p, b"{}", key=f"new {n}", count=1) for n in range(50)]),
    "accept again": lambda c, p: store(c, [new_batch(p, b"{}", key=f"k{n}", count=1) for n in range(50)]),
    "claim": claim_and_finish,
    "due": lambda c, p: claims.due(c, p, "live"),
    "doors": lambda c, _: claims.doors(c, older_than=1),
    "waiting": lambda c, _: backlog.waiting(c),
    "graded lately": lambda c, p: backlog.graded(c, p, "live", seconds=10),
    "held": lambda c, p: claims.held(c, p, "live", "bulk"),
    "elsewhere": lambda c, p: claims.elsewhere(c, p, "live"),
    "fed": lambda c, p: claims.fed(c, p, seconds=10),
    "busy": lambda c, _: claims.busy(c),
    "expire": lambda c, _: claims.expire(c, 5),
    "names": lambda c, p: (identities.challenges(c, p, FEW), identities.respondents(c, p, FEW)),
    "project": projects.grading,
    "answers": lambda c, p: answers.of_challenges(c, ids(c, "challenges", p)),
    "recount": recount,
    "settled": lambda c, p: answers.settled_positions(c, ids(c, "batches", p).tolist()),
    "consensus": write_consensus,
    "statistics": write_statistics,
    "batches": look_at_batches,
    "verdict": lambda c, p: current_verdicts.get(c, p, "c77"),
    "verdicts": lambda c, p: current_verdicts.page(c, p, after="c5", limit=100),
    "verdicts of a status": lambda c, p: current_verdicts.page(c, p, after="", limit=100, only=SETTLED),
    "events": lambda c, p: (events.heads(c, [p]), events.page(c, p, after=54_321, limit=100)),
    "versions": lambda c, p: (versions.page(c, p, "c77", after=0, limit=100), versions.get(c, p, "c77", 3)),
    "outgrown": lambda c, _: runs.outgrown(c, growth=0.1, age=60, minimum=100, pause=60, rest=9),
    "backlog": lambda c, _: ledger.backlog(c),
}


def read_through(connection: Connection) -> dict[str, int]:
    """Rows of large tables that this transaction read by sequential scans."""
    query = text(
        "SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = ANY(:tables) AND seq_tup_read > 0"
    )
    return {row.relname: row.seq_tup_read for row in connection.execute(query, {"tables": list(LARGE)})}


def test_nothing_hot_reads_a_large_table_through(engine: Engine, filled: tuple[int, int]) -> None:
    large, _ = filled
    slow = {}
    for name, action in HOT.items():
        with engine.connect() as connection:
            before = read_through(connection)  # what this connection did earlier may not have been handed in yet
            action(connection, large)
            if found := {table: rows for table, rows in read_through(connection).items() if rows != before.get(table)}:
                slow[name] = found
    assert slow == {}


def test_what_each_answer_writes_anew_is_not_compressed_each_time(engine: Engine, filled: tuple[int, int]) -> None:
    large, _ = filled
    thousand = "UPDATE consensus SET packed = decode(repeat('00', 32000), 'hex') WHERE challenge_id = :id"
    with engine.connect() as connection:
        (challenge, *_) = ids(connection, "challenges", large)
        execute(engine, thousand, id=int(challenge))
        assert scalar(connection, "SELECT max(pg_column_size(packed)) FROM consensus") == 32000


def test_the_refit_of_a_small_project_does_not_read_the_large_one(engine: Engine, filled: tuple[int, int]) -> None:
    _, small = filled
    engine.dispose()
    with engine.connect() as connection:
        answers.counted(connection, small)
        runs.revisions(connection, small)
        assert list(runs.keys(connection, "challenges", small)) == []
        assert read_through(connection) == {}


def test_the_scans_that_are_looked_for_can_be_seen(engine: Engine, filled: tuple[int, int]) -> None:
    engine.dispose()
    with engine.connect() as connection:
        scalar(connection, "SELECT count(*) FROM batches WHERE error = 'x'")
        assert read_through(connection) == {"batches": 10_000}
