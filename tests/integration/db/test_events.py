"""The feed has every committed version once, without a gap, and each challenge's versions in their order."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.orm import scoped_session

from config.settings import Settings
from db import events, transactions
from db.engine import make_engine
from tests.factories.base import Session
from tests.factories.challenge import ChallengeFactory
from tests.factories.project import ProjectFactory
from tests.factories.verdict import EventFactory, OutboxFactory, VerdictFactory
from tests.versions import faults, make_challenges, write

Rows = scoped_session[OrmSession]


@pytest.fixture
def session(engine: Engine) -> Iterator[Rows]:
    """What factories write through."""
    Session.configure(bind=engine)
    yield Session
    Session.remove()


def sequenced(engine: Engine, project_id: int, **limits: int) -> int:
    with engine.begin() as connection:
        return events.sequence(connection, project_id, **limits)


def feed(engine: Engine, project_id: int) -> list[tuple[int, int, int]]:
    query = text("SELECT position, challenge_id, version FROM events WHERE project_id = :project ORDER BY position")
    with engine.connect() as connection:
        return [
            (row.position, row.challenge_id, row.version) for row in connection.execute(query, {"project": project_id})
        ]


def test_what_is_committed_gets_the_next_positions(engine: Engine, session: Rows) -> None:
    first, other = ProjectFactory.create(), ProjectFactory.create()
    a, b = (ChallengeFactory.create(project=first) for _ in range(2))
    OutboxFactory.create(challenge=a, challenge_ids=[a.id, b.id], versions=[1, 1])
    OutboxFactory.create(challenge=b, challenge_ids=[b.id, a.id], versions=[2, 2])
    OutboxFactory.create(challenge=a, verdict=None, challenge_ids=[a.id], versions=[3])
    OutboxFactory.create(challenge=ChallengeFactory.create(project=other))
    session.commit()
    with engine.connect() as connection:
        assert events.waiting(connection) == [first.id, other.id]

    assert sequenced(engine, first.id, rows=1) == 2
    assert sequenced(engine, first.id) == 3
    assert sequenced(engine, first.id) == 0
    assert feed(engine, first.id) == [(1, a.id, 1), (2, b.id, 1), (3, b.id, 2), (4, a.id, 2), (5, a.id, 3)]
    with engine.connect() as connection:
        assert events.waiting(connection) == [other.id]
        assert events.heads(connection, [first.id, other.id]) == {first.id: 5}


def test_what_is_not_committed_is_passed_over_and_comes_later(engine: Engine, session: Rows) -> None:
    project = ProjectFactory.create()
    session.commit()
    early, late = make_challenges(engine, project.id, 2)
    with engine.connect() as slow, slow.begin():
        write(slow, project.id, [early])  # has drawn the lower id
        with engine.begin() as quick:
            write(quick, project.id, [late])
        assert sequenced(engine, project.id) == 1
        assert feed(engine, project.id) == [(1, late, 1)]
    assert sequenced(engine, project.id) == 1
    assert feed(engine, project.id) == [(1, late, 1), (2, early, 1)]


def test_two_do_not_number_one_project_at_once(engine: Engine, session: Rows) -> None:
    project = ProjectFactory.create()
    row = OutboxFactory.create(challenge=ChallengeFactory.create(project=project))
    other = OutboxFactory.create()
    session.commit()
    with engine.begin() as holder:
        assert events.sequence(holder, project.id) == 1
        with engine.connect() as connection:
            transactions.adopt(connection, transactions.bounds(idle=5, lock=0.01))
            with pytest.raises(OperationalError):
                events.sequence(connection, project.id)
        assert sequenced(engine, other.project_id) == 1
        holder.rollback()
    assert sequenced(engine, project.id) == 1
    assert feed(engine, project.id) == [(1, row.challenge_ids[0], 1)]


def test_a_page_tells_what_changed(engine: Engine, session: Rows) -> None:
    project = ProjectFactory.create()
    challenge = ChallengeFactory.create(project=project, key="c")
    verdicts = [
        VerdictFactory.create(challenge=challenge),
        VerdictFactory.create(
            challenge=challenge, version=2, answer=1, confidence=0.9, status="settled", cause="refit"
        ),
    ]
    for position, verdict in enumerate(verdicts, 1):
        EventFactory.create(challenge=challenge, verdict=verdict, position=position)
    EventFactory.create()
    session.commit()
    with engine.connect() as connection:
        first, second = events.page(connection, project.id, after=0, limit=10)
        assert events.page(connection, project.id, after=1, limit=10) == [second]
        assert events.page(connection, project.id, after=0, limit=1) == [first]
    assert (first.kind, first.previous, first.challenge, first.version) == ("verdict.created", None, "c", 1)
    assert (second.position, second.kind, second.answer, second.status) == (2, "verdict.corrected", 1, "settled")
    assert second.previous == events.Before(1, 0, 0.75, "open")


WRITERS, OPEN, TRANSACTIONS = 4, 3, 100


@pytest.mark.parametrize("seed", range(2))
def test_no_gap_under_writers_that_commit_in_any_order(
    settings: Settings, engine: Engine, session: Rows, seed: int
) -> None:
    """Each writer holds several transactions open and ends them in random order, a tenth by rolling back."""
    project = ProjectFactory.create()
    session.commit()
    ids = make_challenges(engine, project.id, 300)
    many = make_engine(settings.require_database_url(), pool_size=WRITERS * OPEN + 2, name="test-writers")
    ended = threading.Event()

    def writer(number: int) -> None:
        rng = random.Random(f"{seed} {number}")
        with ExitStack() as stack:
            open_ = [stack.enter_context(many.connect()) for _ in range(OPEN)]
            for _ in range(TRANSACTIONS):
                connection = rng.choice(open_)
                if connection.in_transaction():
                    connection.rollback() if rng.random() < 0.1 else connection.commit()
                transactions.adopt(connection, transactions.bounds(idle=60, lock=0.02))
                try:
                    write(connection, project.id, rng.sample(ids, rng.randint(1, 8)))
                except OperationalError:  # another holds one of these, who may be waiting for us
                    connection.rollback()
            for connection in rng.sample(open_, OPEN):
                connection.commit()

    def sequencer() -> None:
        while not ended.is_set():
            sequenced(many, project.id)

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        sequencers = [pool.submit(sequencer) for _ in range(2)]
        try:
            for each in [pool.submit(writer, number) for number in range(WRITERS)]:
                each.result()
        finally:
            ended.set()
        for each in sequencers:
            each.result()
    sequenced(many, project.id)
    many.dispose()
    assert faults(engine, project.id) == {}
    assert len(feed(engine, project.id)) > 300
