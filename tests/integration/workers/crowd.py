"""Projects and batches put straight into Postgres, and the books that must balance after whatever was done to them."""

import asyncio
import hashlib
import itertools
import random
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, cast

import msgspec
import numpy as np
import psycopg
from sqlalchemy import Connection, Engine, text

from benchmarks.chaos.books import statistics
from db import batches, events, ledger, projects, tenants, typed_arrays
from db.batches import Accepted, NewBatch
from db.bodies import JSON, pack
from db.errors import NotFoundError
from db.events import Before
from db.ledger import LedgerRow
from db.projects import NewProject
from tests.waiting import until
from workers import faults, grading
from workers.runtime import Runtime

_serial = itertools.count()

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

Answer = dict[str, Any]


def answer(challenge: str, respondent: str, choice: str, minute: int | None = None) -> Answer:
    """An answer as clients send it, answered so many minutes past noon."""
    body: Answer = {"challenge": challenge, "respondent": respondent, "answer": choice}
    if minute is not None:
        body["answered_at"] = NOON + timedelta(minutes=minute)
    return body


def crowd(seed: int, *, challenges: int = 30, respondents: int = 9, classes: Sequence[str] = "abc") -> list[Answer]:
    """Answers of respondents of differing skill: everybody answers two thirds of the challenges, once each."""
    rng = random.Random(seed)
    answers = []
    for challenge in range(challenges):
        truth = classes[challenge % len(classes)]
        for respondent in range(respondents):
            if rng.random() < 2 / 3:
                right = rng.random() < 0.5 + 0.45 * respondent / respondents
                choice = truth if right else rng.choice(classes)
                answers.append(answer(f"c{challenge}", f"r{respondent}", choice))
    return answers


def make_project(
    engine: Engine,
    classes: Sequence[str] = "abc",
    *,
    name: str = "project",
    classes_open: bool = False,
    max_classes: int = 16,
    repeats: str = "all",
    model: str = "dawid-skene",
    form: str = "full",
) -> int:
    """Make a project of the tenant `acme`; returns its id."""
    with engine.begin() as connection:
        try:
            tenant = tenants.get(connection, "acme")
        except NotFoundError:
            tenant = tenants.create(connection, "acme")
        new = NewProject(name, tuple(classes), classes_open, max_classes, True, form, model, repeats, 0.7, 0.3)
        projects.create(connection, tenant.id, new)
        return projects.get(connection, tenant.id, name).id


def new_batch(
    project_id: int,
    answers: Sequence[Answer] | bytes,
    *,
    key: str = "",
    lane: str = "live",
    rejected: Sequence[tuple[int, str]] = (),
    count: int | None = None,
) -> NewBatch:
    """A batch as the edge hands it on; the body may be given as it is, with the number of its answers.

    Without a key it gets one that sorts after all before it, so that batches are stored in the order they are made.
    """
    body = answers if isinstance(answers, bytes) else msgspec.json.encode({"answers": answers})
    uid = uuid.uuid4()
    return NewBatch(
        uid=uid,
        project_id=project_id,
        lane=lane,
        idempotency_key=key or f"{next(_serial):09}",
        digest=hashlib.sha256(body).digest(),
        reply=b"{}",
        media_type=JSON,
        body=pack(body),
        size=len(body),
        answers=len(answers) if count is None else count,
        rejected=tuple(rejected),
    )


class _Held:
    """Executes in a transaction that the caller ends, where :class:`db.line.Line` makes one of each statement."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, statement: LiteralString, parameters: Mapping[str, Any]) -> Sequence[Any]:
        typed_arrays.register(cast("psycopg.Connection[Any]", self._connection.connection.driver_connection))
        return self._connection.exec_driver_sql(statement, dict(parameters)).all()


def store(connection: Connection, new: Sequence[NewBatch]) -> list[Accepted]:
    """Accept batches in this transaction."""
    return asyncio.run(batches.accept(_Held(connection), new))


def accept(engine: Engine, project_id: int, *bodies: Sequence[Answer], lane: str = "live") -> list[uuid.UUID]:
    """Accept a batch for each of the bodies."""
    new = [new_batch(project_id, body, lane=lane) for body in bodies]
    with engine.begin() as connection:
        assert all(accepted.new for accepted in store(connection, new))
    return [batch.uid for batch in new]


def gild(engine: Engine, project_id: int, known: dict[str, str], state: str = "active") -> None:
    """Say what is gold; the challenges must have been met."""
    with engine.begin() as connection:
        classes = projects.grading(connection, project_id).classes
        connection.execute(
            text("""
                INSERT INTO gold (challenge_id, project_id, answer, state)
                SELECT id, project_id, t.answer, :state
                FROM unnest(CAST(:keys AS text[]), CAST(:answers AS smallint[])) AS t(key, answer)
                JOIN challenges USING (key) WHERE project_id = :p
                ON CONFLICT (challenge_id) DO UPDATE
                SET answer = excluded.answer, state = excluded.state, applied = false
            """),
            {
                "p": project_id,
                "keys": list(known),
                "answers": [classes.index(key) for key in known.values()],
                "state": state,
            },
        )


def split(answers: Sequence[Answer], size: int) -> Iterable[Sequence[Answer]]:
    """Batches of so many answers."""
    return (answers[start : start + size] for start in range(0, len(answers), size))


def drain(runtime: Runtime, project_id: int, lane: str = "live") -> list[str]:
    """Grade until nothing waits any more; returns what the failing slices said."""
    said: list[str] = []

    def empty() -> bool:
        try:
            grading.run(runtime, project_id, lane)
        except faults.GradingFailedError as error:
            said.append(str(error))
        with runtime.engine.connect() as connection:
            return not scalar(
                connection, "SELECT count(*) FROM batches WHERE project_id = :p AND state = 'waiting'", p=project_id
            )

    until(empty, "everything is graded")
    return said


def scalar(connection: Connection, query: str, **parameters: object) -> Any:
    """The one value that a query returns."""
    return connection.execute(text(query), parameters).scalar_one()


def execute(engine: Engine, statement: str, **parameters: object) -> None:
    """One statement in a transaction of its own."""
    with engine.begin() as connection:
        connection.execute(text(statement), parameters)


def states(engine: Engine) -> dict[uuid.UUID, str]:
    """State of every batch."""
    with engine.connect() as connection:
        return {row.uid: row.state for row in connection.execute(text("SELECT uid, state FROM batches"))}


@dataclass(frozen=True)
class Verdict:
    """A challenge's consensus by name, not by code."""

    answer: str
    posterior: dict[str, float]
    confidence: float
    answers: int
    final: bool
    revision: int

    @property
    def content(self) -> tuple[str, dict[str, float], float]:
        """What a final verdict promises to depend on the set of answers alone."""
        return self.answer, self.posterior, self.confidence


def verdicts(engine: Engine, project_id: int) -> dict[str, Verdict]:
    """Consensus by the challenge's key."""
    query = text(
        "SELECT ch.key, c.* FROM consensus c JOIN challenges ch ON ch.id = c.challenge_id WHERE c.project_id = :p"
    )
    with engine.connect() as connection:
        classes = projects.grading(connection, project_id).classes
        rows = connection.execute(query, {"p": project_id}).all()
    return {
        row.key: Verdict(
            classes[row.answer],
            dict(zip(classes, row.posterior, strict=False)),
            row.confidence,
            row.answers,
            row.final,
            row.revision,
        )
        for row in rows
        if row.answers
    }


def books(engine: Engine, project_id: int) -> LedgerRow:
    """The project's row of the ledger, after checking that everything stored about it agrees."""
    with engine.connect() as connection:
        name = scalar(connection, "SELECT name FROM projects WHERE id = :p", p=project_id)
        row = next(row for row in ledger.read(connection) if row.project == name)
        _check_statistics(connection, project_id)
        _check_consensus(connection, project_id)
        _check_feed(connection, project_id)
        _check_scores(connection, project_id)
        for batch in batches.page(connection, project_id, state=None, lane=None, after=0, limit=1000):
            assert sum(batch.counts.values()) == batch.answers, batch
    assert row.lost == 0, row
    return row


def _check_statistics(connection: Connection, project_id: int) -> None:
    """S_j is the sum over j's counted answers of what their challenges are counted as, to the bit; likewise gold's."""
    project = projects.grading(connection, project_id)
    classes = len(project.classes)
    if not scalar(connection, "SELECT count(*) FROM respondent_statistics WHERE project_id = :p", p=project_id):
        return
    plan, held = statistics(connection, project_id)
    shape = (classes, classes) if project.form == "full" else (1 + classes,)
    clamped = {respondent: np.zeros(shape) for respondent in held.ids.tolist()}
    open_ = {respondent: np.zeros(shape) for respondent in held.ids.tolist()}
    answers, skips = dict.fromkeys(clamped, 0), dict.fromkeys(clamped, 0)
    cells = text("""
        SELECT a.respondent_id, a.choice, t.k, sum(coalesce(c.raw[t.k + 1], 0)) AS raw, count(*) AS answers,
               sum(CASE WHEN c.gold IS NULL THEN coalesce(c.raw[t.k + 1], 0) ELSE (c.gold = t.k)::int END) AS counted_as
        FROM answers a JOIN consensus c ON c.challenge_id = a.challenge_id CROSS JOIN generate_series(0, :k - 1) AS t(k)
        WHERE a.counted AND c.project_id = :p GROUP BY 1, 2, 3
    """)
    for cell in connection.execute(cells, {"p": project_id, "k": classes}):
        who = cell.respondent_id
        if cell.choice < 0:
            skips[who] = cell.answers
            continue
        answers[who] += cell.answers if cell.k == 0 else 0
        for table, mass in ((clamped[who], cell.counted_as), (open_[who], cell.raw)):
            if project.form == "full":
                table[cell.k, cell.choice] = mass
            elif cell.k == cell.choice:
                table[0] += mass
                table[1 + cell.choice] = cell.answers
    for table, expected in ((held.clamped, clamped), (held.open, open_)):
        wanted = np.stack(list(expected.values())).reshape(table.shape)
        np.testing.assert_array_equal(plan.coded_statistics(table), wanted)
    assert held.answers.tolist() == list(answers.values())
    assert held.skips.tolist() == list(skips.values())


def _check_scores(connection: Connection, project_id: int) -> None:
    """Every respondent has one score for each sitting of each batch that was graded, of the answers that counted."""
    wanted = """
        SELECT b.id, a.respondent_id, coalesce(a.session, '')
        FROM batches b JOIN answers a ON a.batch_id = b.id WHERE b.project_id = :p
    """
    found = """
        SELECT s.batch_id, s.respondent_id, s.session
        FROM scores s JOIN batches b ON b.id = s.batch_id WHERE b.project_id = :p
    """
    for one, other in ((wanted, found), (found, wanted)):
        assert not scalar(connection, f"SELECT count(*) FROM ({one} EXCEPT {other}) t", p=project_id)
    strange = "SELECT count(*) FROM scores WHERE NOT (answers >= 0 AND 0 <= low AND low <= score AND score <= high)"
    assert not scalar(connection, strange)


def _check_consensus(connection: Connection, project_id: int) -> None:
    """Answers are counted once, in the challenge's own row too; posteriors are probabilities."""
    rows = connection.execute(
        text("""
            WITH published AS (
                SELECT challenge_id, array_agg(version ORDER BY version) AS versions,
                       (array_agg((answer, status, confidence) ORDER BY version DESC))[1] AS latest
                FROM verdicts GROUP BY challenge_id
            ), feed AS (
                SELECT challenge_id, array_agg(version ORDER BY position) AS versions,
                       array_agg(position ORDER BY position) AS positions
                FROM events WHERE project_id = :p GROUP BY challenge_id
            )
            SELECT c.answers, c.skips, c.posterior, c.raw, c.confidence, c.version, c.positions,
                   count(a) FILTER (WHERE a.counted AND a.choice >= 0) AS counted,
                   count(a) FILTER (WHERE a.counted AND a.choice < 0) AS skipped,
                   coalesce(v.versions, '{}') AS versions,
                   v.latest IS NOT DISTINCT FROM (c.answer, c.status, c.reported) AS latest,
                   coalesce(f.versions, '{}') AS told, coalesce(f.positions, '{}') AS told_at
            FROM consensus c
            LEFT JOIN answers a ON a.challenge_id = c.challenge_id
            LEFT JOIN published v ON v.challenge_id = c.challenge_id
            LEFT JOIN feed f ON f.challenge_id = c.challenge_id
            WHERE c.project_id = :p GROUP BY c.challenge_id, v.versions, v.latest, f.versions, f.positions
        """),
        {"p": project_id},
    )
    for row in rows:
        assert (row.answers, row.skips) == (row.counted, row.skipped)
        assert row.versions == row.told == list(range(1, row.version + 1))
        assert row.positions == row.told_at
        assert row.latest or not row.version
        if row.answers:
            assert abs(sum(row.posterior) - 1) < 1e-8
            assert abs(sum(row.raw) - 1) < 1e-8
            assert row.confidence == max(row.posterior)


def _check_feed(connection: Connection, project_id: int) -> None:
    """What an event says was before is what the last event of its challenge said."""
    said: dict[str, Before] = {}
    for event in events.page(connection, project_id, after=0, limit=1_000_000):
        assert event.previous == said.get(event.challenge)
        said[event.challenge] = Before(event.version, event.answer, event.confidence, event.status)
