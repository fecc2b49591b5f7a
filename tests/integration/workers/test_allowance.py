"""What lessons and refits that nobody asked for may cost while the fleet has work."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from config.settings import Settings
from db import runs
from tests.integration.workers.crowd import accept, crowd, drain, execute, make_project, scalar
from workers import allowance, population, refit
from workers.runtime import Runtime, WorkLeft

SPENT = """
INSERT INTO populations (project_id, model, model_version, answers, sample, prior, made_at)
VALUES (:project, 'another', '1', 1, 1, jsonb_build_object('cost', CAST(:cost AS float8)),
        now() - make_interval(secs => :ago))
"""
LATER = "UPDATE batches SET accepted_at = accepted_at - interval '1 day', finished_at = finished_at - interval '1 day'"
QUIET = "UPDATE batches SET finished_at = finished_at - interval '1 minute'"


@pytest.fixture
def eager(runtime: Runtime, settings: Settings) -> Runtime:
    """Refits by itself from 50 answers on."""
    return replace(runtime, settings=settings.model_copy(update={"refit_minimum": 50}))


def fed(engine: Engine, runtime: Runtime, name: str = "project") -> int:
    """A project whose answers have just been graded."""
    project = make_project(engine, name=name)
    accept(engine, project, crowd(1))
    drain(runtime, project)
    return project


def state(engine: Engine) -> str:
    """Of the only model run."""
    with engine.connect() as connection:
        found: str = scalar(connection, "SELECT state FROM model_runs")
        return found


def permits(engine: Engine, cost: float) -> bool:
    with engine.connect() as connection:
        return allowance.permits(connection, cost)


def test_a_tenth_of_the_time_since_the_first_answer_can_be_spent(engine: Engine, runtime: Runtime) -> None:
    project = fed(engine, runtime)
    assert permits(engine, 0.1 * allowance.HEAD_START)
    assert not permits(engine, 60)
    execute(engine, LATER)
    assert permits(engine, 60)
    execute(engine, SPENT, project=project, cost=61, ago=600)  # of 1,200 seconds, in which 120 can be spent
    assert not permits(engine, 60)
    execute(engine, "UPDATE populations SET made_at = made_at - interval '10 minutes'")
    assert permits(engine, 60)


def test_refits_by_growth_count_and_those_that_were_asked_for_do_not(engine: Engine, runtime: Runtime) -> None:
    project = fed(engine, runtime)
    execute(engine, LATER)
    execute(
        engine,
        "INSERT INTO model_runs (project_id, cause, state, started_at, finished_at, metrics)"
        " VALUES (:project, 'requested', 'done', now(), now(), '{\"cost\": 1000}')",
        project=project,
    )
    assert permits(engine, 1)
    execute(engine, "UPDATE model_runs SET cause = 'growth'")
    assert not permits(engine, 1)


@pytest.mark.parametrize("cause", ["growth", "gold"])
def test_who_cannot_be_refitted_yet_learns(engine: Engine, eager: Runtime, cause: str) -> None:
    project = fed(engine, eager)
    execute(engine, SPENT, project=project, cost=10, ago=0)
    with engine.begin() as connection:
        runs.request(connection, project, cause)
    assert refit.run(eager, project) == WorkLeft(lessons=(project,))
    assert state(engine) == "waiting"
    execute(engine, QUIET)
    refit.run(eager, project)
    assert state(engine) == "done"
    with engine.connect() as connection:
        assert scalar(connection, "SELECT (metrics->>'cost')::float8 FROM model_runs") > 0


def test_a_refit_that_is_asked_for_waits_for_nothing(engine: Engine, eager: Runtime) -> None:
    project = fed(engine, eager)
    execute(engine, SPENT, project=project, cost=10, ago=0)
    with engine.begin() as connection:
        waiting = runs.request(connection, project, "growth")
        assert runs.request(connection, project, "requested") == waiting
        assert runs.request(connection, project, "gold") == waiting
    refit.run(eager, project)
    assert state(engine) == "done"


def test_an_old_run_is_replaced_however_busy_the_fleet_is(engine: Engine, eager: Runtime) -> None:
    project = fed(engine, eager)
    execute(engine, SPENT, project=project, cost=10, ago=0)
    with engine.begin() as connection:
        runs.request(connection, project, "growth")
    assert refit.run(eager, project).lessons == (project,)
    execute(engine, "UPDATE batches SET accepted_at = accepted_at - interval '2 hours'")
    refit.run(eager, project)
    assert state(engine) == "done"


def test_the_first_lesson_is_given_whatever_was_spent_and_others_are_not(engine: Engine, eager: Runtime) -> None:
    project, young = fed(engine, eager), make_project(engine, name="young")
    execute(engine, SPENT, project=project, cost=10, ago=0)
    accept(engine, young, crowd(3)[:49])
    drain(eager, young)
    assert not population.learn(eager, young)  # too few to tell anything
    assert population.learn(eager, project)
    accept(engine, project, crowd(4), crowd(5))
    drain(eager, project)
    assert population.wait(eager, project) == allowance.QUIET
    execute(engine, QUIET)
    execute(engine, "UPDATE populations SET made_at = made_at - interval '1 minute' WHERE model <> 'another'")
    assert population.wait(eager, project) == 0
    with engine.connect() as connection:
        query = "SELECT min((prior->>'cost')::float8) FROM populations WHERE model <> 'another'"
        assert 0 < scalar(connection, query) < 10
