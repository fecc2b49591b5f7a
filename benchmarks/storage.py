"""Answers one row each, or packed into an array per challenge: what writing and reading cost Postgres, and the disk.

python -m benchmarks.storage [--json] [--challenges N] [--claims N]

Claims of 64 batches with 100 answers are stored in both forms by the same connection, in turns. `rows` is the table
`answers` of this release. `packed` is what would replace it: a row per challenge with an array for each column,
appended to in place, and a row per batch that says where its answers are. Figures are microseconds of one
connection's time per answer, medians over claims.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

from cli.stack.postgres import embedded_postgres
from db import answers, binary, columns, transactions
from db.answers import AnswerColumns
from db.base import Base
from db.engine import make_engine
from db.models import Answer

Ints = npt.NDArray[np.int64]

BATCHES, EACH, RESPONDENTS, CLASSES = 64, 100, 100_000, 4
GRADES = "SELECT position, challenge_id, respondent_id, choice, grade, counted FROM answers WHERE batch_id = :batch"
PACKED = (
    """
    CREATE TABLE packed (challenge_id bigint PRIMARY KEY, respondents bigint[] NOT NULL, batches bigint[] NOT NULL,
        positions int[] NOT NULL, choices smallint[] NOT NULL, answered bigint[] NOT NULL, grades real[] NOT NULL,
        durations int[] NOT NULL, counted boolean[] NOT NULL) WITH (fillfactor = 70)
    """,
    "CREATE TABLE packed_batches (batch_id bigint PRIMARY KEY, challenge_ids bigint[] NOT NULL)",
)
APPEND = text("""
INSERT INTO packed AS p
SELECT challenge, array_agg(respondent), array_agg(batch), array_agg(position), array_agg(choice), array_agg(answered),
       array_agg(grade), array_agg(duration), array_agg(true)
FROM unnest(CAST(:challenge AS bigint[]), CAST(:respondent AS bigint[]), CAST(:batch AS bigint[]),
            CAST(:position AS int[]), CAST(:choice AS smallint[]), CAST(:answered AS bigint[]),
            CAST(:grade AS real[]), CAST(:duration AS int[]))
     AS t(challenge, respondent, batch, position, choice, answered, grade, duration)
GROUP BY challenge ORDER BY challenge
ON CONFLICT (challenge_id) DO UPDATE SET
    respondents = p.respondents || excluded.respondents, batches = p.batches || excluded.batches,
    positions = p.positions || excluded.positions, choices = p.choices || excluded.choices,
    answered = p.answered || excluded.answered, grades = p.grades || excluded.grades,
    durations = p.durations || excluded.durations, counted = p.counted || excluded.counted
""")
REMEMBER = text("""
INSERT INTO packed_batches
SELECT batch, array_agg(challenge ORDER BY position)
FROM unnest(CAST(:batch AS bigint[]), CAST(:position AS int[]), CAST(:challenge AS bigint[]))
     AS t(batch, position, challenge) GROUP BY batch
""")
UNPACK = """
SELECT b AS batch_id, n AS position, challenge_id, r AS respondent_id, c AS choice, a AS answered_at, k AS counted
FROM packed, unnest(batches, positions, respondents, choices, answered, counted) AS u(b, n, r, c, a, k)
WHERE challenge_id = ANY(%(ids)s)
"""
PACKED_GRADES = """
SELECT n, p.challenge_id, r, c, g, k FROM packed_batches b JOIN packed p ON p.challenge_id = ANY(b.challenge_ids),
       unnest(p.batches, p.positions, p.respondents, p.choices, p.grades, p.counted) AS u(b, n, r, c, g, k)
WHERE b.batch_id = :batch AND u.b = b.batch_id
"""
SNAPSHOT = "SELECT challenge_id, respondent_id, choice FROM answers WHERE counted"
PACKED_SNAPSHOT = """
SELECT challenge_id, r, c FROM packed, unnest(respondents, choices, counted) AS u(r, c, k) WHERE k
"""
SIZE = {"rows": ("answers",), "packed": ("packed", "packed_batches")}


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
            Base.metadata.create_all(connection, tables=[Answer.__table__])  # type: ignore[list-item]
            for statement in PACKED:
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
        for form, read, write in (
            ("rows", answers.of_challenges, _append_rows),
            ("packed", _read_packed, _append_packed),
        ):
            with _transaction(connection):
                with _timed(spent[form]["read"], len(claim.choice)):
                    read(connection, touched)
                with _timed(spent[form]["write"], len(claim.choice)):
                    write(connection, claim, grade)
    found = {
        form: {name: median(times[-claims // 3 :]) for name, times in kinds.items()} for form, kinds in spent.items()
    }
    for form, query in (("rows", GRADES), ("packed", PACKED_GRADES)):
        some = random.integers(0, claims * BATCHES, 200).tolist()
        found[form]["grades of a batch"] = (
            _median_of([_ask(connection, query, {"batch": batch}) for batch in some]) / EACH
        )
    stored = claims * BATCHES * EACH
    for form, query in (("rows", SNAPSHOT), ("packed", PACKED_SNAPSHOT)):
        found[form]["snapshot"] = _median_of([_copy(connection, query) for _ in range(3)]) / stored
        size = "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(CAST(:names AS text[])) AS name"
        found[form]["bytes"] = float(connection.execute(text(size), {"names": list(SIZE[form])}).scalar_one()) / stored
    return found


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
    answers.append(connection, claim, grade=grade, duration_ms=np.full(len(grade), -1), sessions={})


def _append_packed(connection: Connection, claim: AnswerColumns, grade: npt.NDArray[np.float64]) -> None:
    parameters = {
        "challenge": claim.challenge_id,
        "respondent": claim.respondent_id,
        "batch": claim.batch_id,
        "position": claim.position.astype(np.int32),
        "choice": claim.choice.astype(np.int16),
        "answered": claim.answered_at,
        "grade": grade.astype(np.float32),
        "duration": np.full(len(grade), -1, dtype=np.int32),
    }
    connection.execute(APPEND, parameters)
    connection.execute(REMEMBER, {name: parameters[name] for name in ("batch", "position", "challenge")})


def _read_packed(connection: Connection, touched: Ints) -> object:
    return columns.select(connection, UNPACK, {"ids": touched}, numbers=" ".join(AnswerColumns.__slots__))


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


def _ask(connection: Connection, query: str, parameters: dict[str, Any]) -> Callable[[], object]:
    return lambda: connection.execute(text(query), parameters).all()


def _copy(connection: Connection, query: str) -> Callable[[], object]:
    kinds = {"challenge": binary.BIGINT, "respondent": binary.BIGINT, "choice": binary.SMALLINT}
    return lambda: binary.copy_out(connection, query, kinds)


def _median_of(actions: Sequence[Callable[[], object]]) -> float:
    times: list[float] = []
    for action in actions:
        with _timed(times, 1):
            action()
    return median(times)


if __name__ == "__main__":
    main()
