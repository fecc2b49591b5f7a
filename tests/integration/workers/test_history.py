"""How far back the feed reaches: what is old goes, and whoever read on before it went is told."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine, text

from db import events, history, versions
from db.errors import NotFoundError
from tests.integration.workers.crowd import execute, make_project
from tests.versions import faults, make_challenges, write
from workers import house
from workers.runtime import Runtime


def publish(engine: Engine, project: int, challenges: list[int], *, age: int = 0) -> None:
    """Give each of these challenges its next version, so many days ago."""
    with engine.begin() as connection:
        write(connection, project, challenges)
    execute(
        engine,
        "UPDATE bulletins SET created_at = now() - make_interval(days => :age) WHERE first ="
        " (SELECT max(first) FROM bulletins WHERE project_id = :project)",
        age=age,
        project=project,
    )


def kept(engine: Engine, project: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Positions, and versions by challenge."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT challenge_id, version FROM verdicts ORDER BY 1, 2")).all()
        return [row.position for row in events.page(connection, project, after=0, limit=99)], [
            tuple(row) for row in rows
        ]


def test_what_is_old_and_superseded_goes(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    a, b = make_challenges(engine, project, 2)
    for age, challenges in ((9, [a, b]), (8, [a]), (6, [a]), (0, [a])):
        publish(engine, project, challenges, age=age)
    house.keep(runtime)
    assert len(kept(engine, project)[0]) == 5
    with engine.connect() as connection:
        whole = versions.page(connection, project, "c1", after=0, limit=9)

    house.keep(replace(runtime, settings=runtime.settings.model_copy(update={"history_days": 7})))
    assert kept(engine, project) == ([4, 5], [(a, 2), (a, 3), (a, 4), (b, 1)])
    with engine.connect() as connection:
        first, _ = events.page(connection, project, after=3, limit=9)
        assert history.begins_behind(connection, project) == 3
        assert versions.page(connection, project, "c1", after=0, limit=9) == whole[1:]
        assert versions.get(connection, project, "c2", 1).answer == 1
        with pytest.raises(NotFoundError, match="no version 1"):
            versions.get(connection, project, "c1", 1)
    assert (first.kind, first.previous and first.previous.version) == ("verdict.corrected", 2)

    house.keep(replace(runtime, settings=runtime.settings.model_copy(update={"history_days": 1})))
    assert kept(engine, project) == ([5], [(a, 3), (a, 4), (b, 1)])
    with engine.connect() as connection:
        assert versions.page(connection, project, "c1", after=0, limit=9) == whole[2:]


def test_the_last_event_stays_and_positions_go_on(engine: Engine) -> None:
    project = make_project(engine)
    (challenge,) = make_challenges(engine, project, 1)
    for _ in range(5):
        publish(engine, project, [challenge], age=30)
    with engine.begin() as connection:
        assert history.old(connection, 7) == [project]
        assert [history.drop(connection, project, 7, bulletins=3) for _ in range(3)] == [3, 1, 0]
    publish(engine, project, [challenge])
    assert kept(engine, project) == ([5, 6], [(challenge, 4), (challenge, 5), (challenge, 6)])
    assert faults(engine, project).keys() <= {"gaps", "out_of_order", "misplaced"}


def test_a_young_event_before_an_old_one_keeps_it(engine: Engine) -> None:
    project = make_project(engine)
    a, b = make_challenges(engine, project, 2)
    publish(engine, project, [a])
    publish(engine, project, [b], age=9)
    with engine.begin() as connection:
        assert history.old(connection, 7) == []
        assert history.drop(connection, project, 7) == 0
