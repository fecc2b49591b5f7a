"""Answers one row each, or by batch and by challenge: what writing and reading cost Postgres, and the disk.

python -m benchmarks.storage [--json] [--challenges N] [--claims N]

Claims of 64 batches with 100 answers are stored in both forms by the same connection, in turns. `sheets` is this
release: a row of columns per batch, and all answers to a challenge packed into its consensus' row, here a table of its
own. `rows` is what was before: a row per answer with an index on its challenge and one on its batch. Figures are
microseconds of one connection's time per answer, medians over claims.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

from cli.stack.postgres import embedded_postgres
from db import answers, columns, transactions
from db.answers import AnswerColumns
from db.base import Base
from db.engine import make_engine
from db.models import Sheet
from db.pieces import Pieces
from db.writes import Writes

Ints = npt.NDArray[np.int64]

BATCHES, EACH, RESPONDENTS, CLASSES = 64, 100, 100_000, 4
TABLES = (
    """
    CREATE TABLE rows (batch_id bigint NOT NULL, challenge_id bigint NOT NULL, respondent_id bigint NOT NULL,
        answered_at timestamptz NOT NULL, position int NOT NULL, duration_ms int NOT NULL, grade real,
        choice smallint NOT NULL, counted boolean NOT NULL, session text NOT NULL DEFAULT '')
    """,
    "CREATE INDEX ON rows (challenge_id)",
    "CREATE INDEX ON rows (batch_id)",
    "CREATE TABLE packed (challenge_id bigint PRIMARY KEY, answers bytea NOT NULL) WITH (fillfactor = 70)",
)
APPEND_ROWS = text("""
INSERT INTO rows (batch_id, position, challenge_id, respondent_id, choice, answered_at, counted, duration_ms, grade)
SELECT batch, position, challenge, respondent, choice, timestamptz 'epoch' + answered_at * interval '1 microsecond',
       true, -1, grade
FROM unnest(CAST(:batch AS bigint[]), CAST(:position AS int[]), CAST(:challenge AS bigint[]),
            CAST(:respondent AS bigint[]), CAST(:choice AS smallint[]), CAST(:answered_at AS bigint[]),
            CAST(:grade AS real[])) AS t(batch, position, challenge, respondent, choice, answered_at, grade)
""")
READ_ROWS = """
SELECT batch_id, position, challenge_id, respondent_id, choice,
       (extract(epoch FROM answered_at) * 1000000)::bigint AS answered_at, counted
FROM rows WHERE challenge_id = ANY(%(ids)s)
"""
PACK = text("""
INSERT INTO packed AS p
SELECT id, substring(CAST(:packed AS bytea) FROM start FOR size)
FROM unnest(CAST(:ids AS bigint[]), CAST(:starts AS int[]), CAST(:sizes AS int[])) AS t(id, start, size)
ON CONFLICT (challenge_id) DO UPDATE SET answers = excluded.answers
""")
READ_PACKED = (
    "SELECT challenge_id, octet_length(answers) AS size, answers FROM packed WHERE challenge_id = ANY(%(ids)s)"
)
GRADES = {
    "rows": "SELECT position, challenge_id, respondent_id, choice, grade, counted FROM rows WHERE batch_id = :batch",
    "sheets": "SELECT position, challenge_id, respondent_id, choice, grade, counted FROM answers"
    " WHERE batch_id = :batch",
}
EVERYTHING = {
    "rows": "SELECT count(challenge_id), sum(respondent_id), sum(choice) FROM rows WHERE counted",
    "sheets": "SELECT sum(octet_length(answers)) FROM packed",
}
SIZE = {"rows": ("rows",), "sheets": ("sheets", "packed")}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print the figures as JSON on the last line")
    parser.add_argument("--challenges", type=int, default=100_000)
    parser.add_argument("--claims", type=int, default=150)
    chosen = parser.parse_args()
    with TemporaryDirectory() as home, embedded_postgres(Path(home)) as server:
        url = server.url.replace("postgresql://", "postgresql+psycopg://", 1)
        engine = make_engine(url, pool_size=1, name="benchmark")
        with engine.begin() as connection:
            Base.metadata.create_all(connection, tables=[Sheet.__table__])  # type: ignore[list-item]
            for statement in (*TABLES, _view()):
                connection.execute(text(statement))
        with engine.connect() as connection:
            found = measure(connection, chosen.challenges, chosen.claims)
        engine.dispose()
    console = Console(stderr=True)
    table = Table("", *found, title="microseconds per answer, bytes per answer")
    for name in found["rows"]:
        table.add_row(name, *(f"{figures[name]:.2f}" for figures in found.values()))
    console.print(table)
    if chosen.json:
        print(json.dumps(found))


def measure(connection: Connection, challenges: int, claims: int) -> dict[str, dict[str, float]]:
    """Store claims in both forms in turns, each after reading what it touches; then read batches and everything."""
    spent: dict[str, dict[str, list[float]]] = {form: {"read": [], "write": []} for form in SIZE}
    random = np.random.default_rng(0)
    for number in range(claims):
        claim = _claim(random, number, challenges)
        grade = random.random(len(claim.choice))
        touched = np.unique(claim.challenge_id)
        with _transaction(connection):
            with _timed(spent["rows"]["read"], len(claim.choice)):
                columns.select(connection, READ_ROWS, {"ids": touched}, numbers=" ".join(AnswerColumns.__slots__))
            with _timed(spent["rows"]["write"], len(claim.choice)):
                _append_rows(connection, claim, grade)
        with _transaction(connection):
            with _timed(spent["sheets"]["read"], len(claim.choice)):
                stored = _read_packed(connection, touched)
            with _timed(spent["sheets"]["write"], len(claim.choice)):
                _append_sheets(connection, claim, grade, stored)
    found = {
        form: {name: median(times[-claims // 3 :]) for name, times in kinds.items()} for form, kinds in spent.items()
    }
    count = claims * BATCHES * EACH
    size = text("SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(CAST(:names AS text[])) AS name")
    some = random.integers(0, claims * BATCHES, 200).tolist()
    for form, figures in found.items():
        batches = [_ask(connection, GRADES[form], batch=batch) for batch in some]
        figures["grades of a batch"] = _median_of(batches) / EACH
        figures["everything"] = _median_of([_ask(connection, EVERYTHING[form])] * 3) / count
        figures["bytes"] = float(connection.execute(size, {"names": list(SIZE[form])}).scalar_one()) / count
    return found


def _view() -> str:
    """The view `answers`, as migrations leave it."""
    statement: str = import_module("migrations.versions.0006_sheets").ANSWERS
    return statement


def _claim(random: np.random.Generator, number: int, challenges: int) -> AnswerColumns:
    count = BATCHES * EACH
    return AnswerColumns(
        batch_id=number * BATCHES + np.arange(BATCHES).repeat(EACH),
        position=np.tile(np.arange(EACH), BATCHES),
        challenge_id=random.integers(0, challenges, count),
        respondent_id=random.integers(0, RESPONDENTS, BATCHES * 10).repeat(10),
        choice=random.integers(0, CLASSES, count),
        answered_at=np.full(count, time.time_ns() // 1000),
        counted=np.ones(count, dtype=bool),
    )


def _append_rows(connection: Connection, claim: AnswerColumns, grade: npt.NDArray[np.float64]) -> None:
    connection.execute(
        APPEND_ROWS,
        {
            "batch": claim.batch_id,
            "position": claim.position.astype(np.int32),
            "challenge": claim.challenge_id,
            "respondent": claim.respondent_id,
            "choice": claim.choice.astype(np.int16),
            "answered_at": claim.answered_at,
            "grade": grade.astype(np.float32),
        },
    )


def _append_sheets(
    connection: Connection, claim: AnswerColumns, grade: npt.NDArray[np.float64], stored: AnswerColumns
) -> None:
    together = answers.join(stored, claim)
    ids, item = np.unique(together.challenge_id, return_inverse=True)
    packed = answers.pack(together, np.argsort(item, kind="stable"), np.bincount(item))
    untimed = np.full(len(grade), -1)
    with Writes(connection) as writes:
        writes.send(PACK, {"ids": ids, **packed.parameters})
        answers.append(writes, claim, accepted_at=claim.answered_at, grade=grade, duration_ms=untimed, sessions={})


def _read_packed(connection: Connection, touched: Ints) -> AnswerColumns:
    found = columns.select(connection, READ_PACKED, {"ids": touched}, numbers="challenge_id size", blobs="answers")
    packed = Pieces.of(answers.RECORD, found.blobs["answers"], found.numbers["size"].astype(np.int64))
    return answers.unpack(found.numbers["challenge_id"], packed)


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    with connection.begin():
        transactions.adopt(connection, transactions.BY_INDEX)
        yield


@contextmanager
def _timed(times: list[float], count: int) -> Iterator[None]:
    start = time.perf_counter()
    yield
    times.append((time.perf_counter() - start) / count * 1e6)


def _ask(connection: Connection, query: str, **parameters: object) -> Callable[[], object]:
    return lambda: connection.execute(text(query), parameters).all()


def _median_of(actions: Sequence[Callable[[], object]]) -> float:
    times: list[float] = []
    for action in actions:
        with _timed(times, 1):
            action()
    return median(times)


if __name__ == "__main__":
    main()
