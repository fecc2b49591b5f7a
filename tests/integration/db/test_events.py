"""The feed has every committed version once, without a gap, and each challenge's versions in their order."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.orm import scoped_session

from config.settings import Settings
from db import events, transactions, verdicts, versions
from db.engine import make_engine
from db.events import EventRow
from tests.factories.base import Session
from tests.factories.challenge import ChallengeFactory
from tests.factories.project import ProjectFactory
from tests.factories.verdict import BulletinFactory
from tests.versions import faults, make_challenges, write

Rows = scoped_session[OrmSession]


@pytest.fixture
def session(engine: Engine) -> Iterator[Rows]:
    """What factories write through."""
    Session.configure(bind=engine)
    yield Session
    Session.remove()


@pytest.fixture
def project(session: Rows) -> int:
    """The id of a project without events."""
    made = int(ProjectFactory.create().id)
    session.commit()
    return made


def publish(engine: Engine, project_id: int, challenges: list[int]) -> None:
    with engine.begin() as connection:
        write(connection, project_id, challenges)


def feed(engine: Engine, project_id: int, *, after: int = 0, limit: int = 1_000_000) -> list[EventRow]:
    with engine.connect() as connection:
        return events.page(connection, project_id, after=after, limit=limit)


def seen(engine: Engine, project_id: int) -> list[tuple[int, str, int]]:
    return [(event.position, event.challenge, event.version) for event in feed(engine, project_id)]


def test_versions_get_the_next_positions(engine: Engine, project: int, session: Rows) -> None:
    a, b = make_challenges(engine, project, 2)
    other = ProjectFactory.create()
    session.commit()
    for written in ([a, b], [b, a], [a]):
        publish(engine, project, written)
    publish(engine, other.id, make_challenges(engine, other.id, 1))
    with engine.connect() as connection:
        assert events.heads(connection, [project, other.id, -1]) == {project: 5, other.id: 1}
    assert seen(engine, project) == [(1, "c1", 1), (2, "c2", 1), (3, "c2", 2), (4, "c1", 2), (5, "c1", 3)]
    assert faults(engine, project) == {}


def test_what_is_rolled_back_gives_its_positions_to_the_next(engine: Engine, project: int) -> None:
    early, late = make_challenges(engine, project, 2)
    with engine.connect() as connection:
        write(connection, project, [early])
        connection.rollback()
    publish(engine, project, [late])
    assert seen(engine, project) == [(1, "c2", 1)]
    assert faults(engine, project) == {}


def test_nobody_gives_positions_before_the_turn_has_ended(engine: Engine, project: int) -> None:
    early, late = make_challenges(engine, project, 2)
    with engine.connect() as slow, slow.begin():
        write(slow, project, [early])
        with engine.connect() as connection:
            transactions.adopt(connection, transactions.bounds(idle=5, lock=0.01))
            with pytest.raises(OperationalError):
                write(connection, project, [late])
        assert seen(engine, project) == []
    publish(engine, project, [late])
    assert seen(engine, project) == [(1, "c1", 1), (2, "c2", 1)]


@pytest.mark.parametrize("count", [1, verdicts.MOST, 3 * verdicts.MOST + 7])
def test_pages_begin_and_end_anywhere(engine: Engine, project: int, count: int) -> None:
    challenges = make_challenges(engine, project, count)
    for _ in range(2):
        publish(engine, project, challenges)
    whole = feed(engine, project)
    assert [(row.position, row.challenge, row.version) for row in whole] == [
        (number + 1, f"c{number % count + 1}", number // count + 1) for number in range(2 * count)
    ]
    rng = random.Random(count)
    for _ in range(20):
        after, limit = rng.randrange(2 * count + 1), rng.randint(1, 2 * count)
        assert feed(engine, project, after=after, limit=limit) == whole[after : after + limit]


def test_versions_are_found_by_their_positions(engine: Engine, project: int) -> None:
    challenges = make_challenges(engine, project, 300)
    for _ in range(3):
        publish(engine, project, challenges)
    with engine.connect() as connection:
        rows = versions.page(connection, project, "c217", after=1, limit=9)
        assert [(row.version, row.answer, row.posterior) for row in rows] == [(2, 0, [0.5, 0.5]), (3, 1, [0.5, 0.5])]
        assert versions.get(connection, project, "c217", 3) == rows[1]


def test_a_page_tells_what_changed(engine: Engine, session: Rows) -> None:
    project = ProjectFactory.create()
    challenge = ChallengeFactory.create(project=project, key="c")
    BulletinFactory.create(challenge=challenge)
    BulletinFactory.create(
        challenge=challenge,
        first=2,
        version=2,
        answer=1,
        confidence=0.9,
        status="settled",
        cause="refit",
        before=(0, 0.75, "open"),
    )
    BulletinFactory.create()
    session.commit()
    first, second = feed(engine, project.id)
    assert feed(engine, project.id, after=1) == [second]
    assert feed(engine, project.id, limit=1) == [first]
    assert (first.kind, first.previous, first.challenge, first.version) == ("verdict.created", None, "c", 1)
    assert (second.position, second.kind, second.answer, second.status) == (2, "verdict.corrected", 1, "settled")
    assert second.previous == events.Before(1, 0, 0.75, "open")


WRITERS, TURNS, READERS = 4, 100, 2


@pytest.mark.parametrize("seed", range(2))
def test_no_gap_is_seen_while_many_write(settings: Settings, engine: Engine, project: int, seed: int) -> None:
    """Writers end a tenth of their turns by rolling back; readers go on behind what they have seen."""
    ids = make_challenges(engine, project, 300)
    many = make_engine(settings.require_database_url(), pool_size=WRITERS + READERS, name="test-writers")
    ended = threading.Event()

    def writer(number: int) -> None:
        rng = random.Random(f"{seed} {number}")
        for _ in range(TURNS):
            with many.connect() as connection:
                write(connection, project, rng.sample(ids, rng.randint(1, 200)))
                connection.rollback() if rng.random() < 0.1 else connection.commit()

    def reader(number: int) -> list[EventRow]:
        rng = random.Random(f"{seed} {number}")
        found: list[EventRow] = []
        while True:
            last = ended.is_set()
            rows = feed(many, project, after=len(found), limit=rng.randint(1, 500))
            assert [row.position for row in rows] == list(range(len(found) + 1, len(found) + len(rows) + 1))
            found += rows
            if last and not rows:
                return found

    with ExitStack() as stack:
        stack.callback(many.dispose)
        pool = stack.enter_context(ThreadPoolExecutor(WRITERS + READERS))
        readers = [pool.submit(reader, number) for number in range(READERS)]
        try:
            for each in [pool.submit(writer, number) for number in range(WRITERS)]:
                each.result()
        finally:
            ended.set()
        read = [each.result() for each in readers]
    assert faults(engine, project) == {}
    assert read == [feed(engine, project)] * READERS
    assert len(read[0]) > 10_000
