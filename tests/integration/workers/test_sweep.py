"""The sweep: what was forgotten is found, by one process at a time."""

from dataclasses import replace

from sqlalchemy import Engine, text

from config.settings import Settings
from db import claims, runs
from tests.integration.workers.crowd import (
    accept,
    answer,
    crowd,
    drain,
    execute,
    make_project,
)
from workers import refit, sweep
from workers.runtime import NOTHING_LEFT, Runtime, WorkLeft


def test_it_lists_the_doors_at_which_something_has_waited_unheard(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a")])
    assert sweep.run(runtime) == NOTHING_LEFT
    execute(engine, "UPDATE batches SET due_at = now() - '3 seconds'::interval")
    assert sweep.run(runtime) == WorkLeft(doors=((project, "live"),))


def test_it_frees_what_a_dead_worker_held(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a")])
    execute(engine, "UPDATE batches SET due_at = now() - '3 seconds'::interval")
    with engine.begin() as connection:
        claims.claim(connection, project, "live", batches=9, answers=9, lease=30)
    assert sweep.run(runtime) == NOTHING_LEFT
    execute(engine, "UPDATE batches SET lease_until = now()")
    assert sweep.run(runtime).doors == ((project, "live"),)


def test_one_sweeps_at_a_time(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a")])
    execute(engine, "UPDATE batches SET due_at = now() - '3 seconds'::interval")
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": sweep.ADVISORY_LOCK})
        assert sweep.run(runtime) == NOTHING_LEFT
    assert sweep.run(runtime).doors


def test_growth_asks_for_a_refit_once(engine: Engine, runtime: Runtime, settings: Settings) -> None:
    eager = replace(runtime, settings=settings.model_copy(update={"refit_minimum": 50, "refit_growth": 0.5}))
    project = make_project(engine)
    answers = crowd(1)
    accept(engine, project, answers[:49])
    drain(eager, project)
    assert sweep.run(eager) == NOTHING_LEFT
    accept(engine, project, answers[49:60])
    drain(eager, project)
    assert sweep.run(eager).refits == (project,)
    assert sweep.run(eager).refits == (project,)
    refit.run(eager, project)
    accept(engine, project, answers[60:])
    drain(eager, project)
    assert sweep.run(eager) == NOTHING_LEFT  # too soon after the last one
    old = "UPDATE model_runs SET requested_at = now() - '1 hour'::interval, finished_at = started_at + {}"
    execute(engine, old.format("'10 minutes'::interval"))
    assert sweep.run(eager) == NOTHING_LEFT  # it took so long that the next one can wait
    execute(engine, old.format("'0 minutes'::interval"))
    assert sweep.run(eager).refits == (project,)
    with engine.connect() as connection:
        assert [run.cause for run in runs.page(connection, project, after=0, limit=9)] == ["growth", "growth"]


def test_age_asks_for_a_refit_only_if_something_changed(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, crowd(1))
    drain(runtime, project)
    with engine.begin() as connection:
        runs.request(connection, project, "requested")
    refit.run(runtime, project)
    old = (
        "UPDATE model_runs SET requested_at = requested_at - '2 hours'::interval, started_at = started_at - {0},"
        " finished_at = started_at - {0}"
    )
    execute(engine, old.format("'0 hours'::interval"))
    accept(engine, project, [answer("late", "r1", "a")])
    drain(runtime, project)
    assert sweep.run(runtime) == NOTHING_LEFT
    execute(engine, old.format("'2 hours'::interval"))
    execute(engine, "UPDATE batches SET finished_at = finished_at - '3 hours'::interval")
    assert sweep.run(runtime) == NOTHING_LEFT
    execute(engine, "UPDATE batches SET finished_at = now()")
    assert sweep.run(runtime).refits == (project,)
    with engine.connect() as connection:
        assert runs.page(connection, project, after=0, limit=9)[-1].cause == "age"


def test_a_run_whose_worker_died_waits_again(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    with engine.begin() as connection:
        runs.request(connection, project, "requested")
        runs.claim(connection, project, 30)
    assert sweep.run(runtime) == NOTHING_LEFT
    execute(engine, "UPDATE model_runs SET lease_until = now()")
    assert sweep.run(runtime).refits == (project,)
    with engine.begin() as connection:
        runs.claim(connection, project, 30)
    execute(engine, "UPDATE model_runs SET lease_until = now(), attempts = 3")
    assert sweep.run(runtime) == NOTHING_LEFT
    with engine.connect() as connection:
        (run,) = runs.page(connection, project, after=0, limit=9)
    assert (run.state, run.error) == ("failed", "the lease ran out: the worker stopped or was killed")
    assert run.finished_at is not None
