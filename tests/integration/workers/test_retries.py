"""What is tried again, how often and how long; and that whoever stops in the middle is not waited for for ever."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from cli.stack.ports import free_port
from db import runs, transactions
from db.engine import make_engine
from tests.integration.workers.crowd import accept, books, crowd, drain, make_project, scalar, split, states
from tests.integration.workers.faulty import UNBOUNDED, fail, fault
from tests.waiting import until
from workers import refit, retries
from workers.runtime import Runtime


def attempts(engine: Engine, query: str, limit: float) -> int:
    """How often a failing query is tried."""
    tried = 0

    def action() -> None:
        nonlocal tried
        tried += 1
        with engine.begin() as connection:
            connection.execute(text(query))

    with pytest.raises(DBAPIError):
        retries.through_conflicts(action, limit=limit)
    return tried


def raising(code: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"


@pytest.mark.parametrize("code", sorted(retries.TRANSIENT))
def test_conflicts_are_tried_again_a_few_times(engine: Engine, code: str) -> None:
    assert attempts(engine, raising(code), 30) == retries.TRIES


def test_what_is_wrong_is_not_tried_again(engine: Engine) -> None:
    assert attempts(engine, raising("22000"), 30) == 1


def test_a_lost_connection_is_tried_again_for_a_while(engine: Engine) -> None:
    assert attempts(engine, "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)", 1.0) > 1


def test_a_server_that_is_away_is_tried_again_for_a_while() -> None:
    away = make_engine(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nowhere", pool_size=1, name="test")
    assert attempts(away, "SELECT 1", 1.0) > 1


def test_bounds_end_with_their_transaction(engine: Engine) -> None:
    show = "SELECT current_setting('idle_in_transaction_session_timeout') || ' ' || current_setting('lock_timeout')"
    with engine.connect() as connection:
        with connection.begin():
            transactions.adopt(connection, transactions.bounds(idle=30, lock=0.5))
            assert scalar(connection, show) == "30s 500ms"
        assert scalar(connection, show) == "0 0"


def test_an_idle_transaction_is_ended_and_counts_as_a_lost_connection(engine: Engine) -> None:
    """A worker that was stopped in the middle and goes on tries again, and finds its claim gone."""
    tries = 0

    def action() -> None:
        nonlocal tries
        tries += 1
        with engine.begin() as connection:
            transactions.adopt(connection, transactions.bounds(idle=0.05))
            pid = scalar(connection, "SELECT pg_backend_pid()")
            if tries == 1:
                until(lambda: not alive(engine, pid), "Postgres to end the idle transaction")
            scalar(connection, "SELECT 1")

    retries.through_conflicts(action, limit=30)
    assert tries == 2


def alive(engine: Engine, pid: int) -> bool:
    with engine.connect() as connection:
        return bool(scalar(connection, "SELECT count(*) FROM pg_stat_activity WHERE pid = :pid", pid=pid))


def test_whoever_holds_challenges_is_bounded(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    accept(engine, project, crowd(1))
    with fault(engine, "UPDATE ON consensus", UNBOUNDED, times=10_000):
        assert drain(runtime, project) == []
        with engine.begin() as connection:
            runs.request(connection, project, "requested")
        refit.run(runtime, project)
    books(engine, project)


def test_whoever_appends_classes_is_bounded(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, (), classes_open=True)
    accept(engine, project, crowd(1))
    with fault(engine, "INSERT ON project_classes", UNBOUNDED, times=10_000):
        assert drain(runtime, project) == []
    books(engine, project)


@pytest.mark.parametrize(("code", "visits", "end"), [("22000", 10_000, "dead"), ("53100", 20, "graded")])
def test_whoever_gives_batches_back_is_bounded(
    engine: Engine, runtime: Runtime, code: str, visits: int, end: str
) -> None:
    """Batches that cannot be graded are halved, renewed, released and at last dead, or wait until there is room."""
    project = make_project(engine)
    accept(engine, project, *split(crowd(1)[:12], 4))
    broken = f"{UNBOUNDED}; IF NEW.state = 'graded' AND nextval('fault_count') < {visits} THEN {fail(code)}; END IF"
    with fault(engine, "UPDATE ON batches", broken, times=10_000):
        said = drain(runtime, project)
    assert said
    assert not any("unbounded" in line for line in said)
    assert list(states(engine).values()) == [end] * 3
    books(engine, project)
