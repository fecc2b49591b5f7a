"""Numbering after commits, and what is left to the sweep."""

from sqlalchemy import Engine, text

from db import events
from tests.integration.workers.crowd import execute, make_project
from tests.versions import faults, make_challenges, write
from workers import feed, sweep
from workers.runtime import NOTHING_LEFT, Runtime


def publish(engine: Engine, project: int, count: int = 3) -> None:
    challenges = make_challenges(engine, project, count)
    with engine.begin() as connection:
        write(connection, project, challenges)


def test_versions_are_numbered_after_their_commit(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    publish(engine, project)
    assert feed.number(runtime, project) == 3
    assert feed.number(runtime, project) == 0
    assert faults(engine, project) == {}


def test_who_finds_another_numbering_leaves_it_to_the_sweep(engine: Engine, runtime: Runtime) -> None:
    first, second = make_project(engine), make_project(engine, name="second")
    publish(engine, first)
    publish(engine, second)
    with engine.begin() as holder:
        events.sequence(holder, first)
        publish_late(engine, first)
        assert feed.number(runtime, first) == 0
        sweep.run(runtime)
        assert faults(engine, second) == {}
    assert sweep.run(runtime) == NOTHING_LEFT
    assert faults(engine, first) == {}


def publish_late(engine: Engine, project: int) -> None:
    """The next version of all challenges of a project."""
    with engine.begin() as connection:
        ids = connection.execute(text("SELECT id FROM challenges WHERE project_id = :p"), {"p": project}).scalars()
        write(connection, project, list(ids))


def test_what_cannot_be_numbered_now_is_numbered_later(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    publish(engine, project)
    execute(engine, "ALTER TABLE events RENAME TO hidden")
    try:
        assert feed.number(runtime, project) == 0
    finally:
        execute(engine, "ALTER TABLE hidden RENAME TO events")
    assert feed.number(runtime, project) == 3
