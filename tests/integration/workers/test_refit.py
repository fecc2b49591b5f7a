"""Refits: what becomes final depends on the answers alone, and nothing that happens meanwhile is lost."""

import random
import threading
from functools import partial

import pytest
from sqlalchemy import Engine, text

from db import runs
from db.errors import StaleClaimError
from tests.integration.workers.crowd import (
    accept,
    answer,
    books,
    crowd,
    drain,
    execute,
    make_project,
    scalar,
    split,
    verdicts,
)
from tests.integration.workers.faulty import TERMINATE, fail, fault
from tests.waiting import until
from workers import refit, scheme
from workers.refit import Snapshot
from workers.runtime import NOTHING_LEFT, Runtime


def request(engine: Engine, project: int) -> None:
    with engine.begin() as connection:
        runs.request(connection, project, "requested")


def refit_now(engine: Engine, runtime: Runtime, project: int) -> None:
    request(engine, project)
    refit.run(runtime, project)


def latest(engine: Engine, project: int) -> runs.RunRow:
    with engine.connect() as connection:
        return runs.page(connection, project, after=0, limit=100)[-1]


def graded(engine: Engine, runtime: Runtime, project: int, seed: int = 1) -> int:
    """Grade a crowd; returns the number of its answers."""
    answers = crowd(seed)
    accept(engine, project, *split(answers, 50))
    drain(runtime, project)
    return len(answers)


@pytest.mark.parametrize("model", ["touchstone", "dawid-skene", "majority"])
@pytest.mark.parametrize("open_", [False, True], ids=["declared", "open"])
@pytest.mark.parametrize("form", ["full", "coin"])
def test_the_same_answers_give_the_same_verdicts_bit_for_bit(
    engine: Engine, runtime: Runtime, model: str, form: str, open_: bool
) -> None:
    classes = ["b", "ä", "a", "c"]
    answers = crowd(5, classes=classes)
    found = []
    for name, size in (("one", 25), ("two", 70)):
        random.Random(name).shuffle(answers)
        project = make_project(engine, () if open_ else classes, name=name, classes_open=open_, model=model, form=form)
        for body in split(answers, size):
            accept(engine, project, body)
            drain(runtime, project)
        refit_now(engine, runtime, project)
        books(engine, project)
        found.append(verdicts(engine, project))
        assert all(verdict.final for verdict in found[-1].values())
    one, two = ({key: verdict.content for key, verdict in each.items()} for each in found)
    assert one == two
    with engine.connect() as connection:
        digests = connection.execute(text("SELECT input_digest FROM model_runs")).scalars().all()
    assert len(digests) == 2
    assert len(set(digests)) == 1


def test_what_is_answered_while_a_refit_runs_stays_provisional(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    graded(engine, runtime, project)
    request(engine, project)
    with engine.begin() as connection:
        claim = runs.claim(connection, project, 30)
    assert claim is not None
    snapshot = take(engine, runtime, project)
    accept(engine, project, [answer("c3", "late", "a"), answer("c7", "late", "b"), answer("new", "late", "b")])
    drain(runtime, project)

    plan = scheme.make(snapshot.grading, runtime.device)
    final = refit.publish(runtime, snapshot, plan, plan.model.fit(snapshot.answers, form=plan.form), claim)
    after = verdicts(engine, project)
    assert final == 28
    assert {key for key, verdict in after.items() if not verdict.final} == {"c3", "c7", "new"}
    books(engine, project)


def test_classes_met_while_a_refit_runs_begin_it_anew(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, (), classes_open=True)
    graded(engine, runtime, project)
    snapshot = take(engine, runtime, project)
    accept(engine, project, [answer("c3", "r1", "new class")])
    drain(runtime, project)
    request(engine, project)
    with engine.begin() as connection:
        claim = runs.claim(connection, project, 30)
    assert claim is not None
    plan = scheme.make(snapshot.grading, runtime.device)
    fit = plan.model.fit(snapshot.answers, form=plan.form)
    with pytest.raises(scheme.OutgrownError):
        refit.publish(runtime, snapshot, plan, fit, claim)
    books(engine, project)


def test_answers_and_refits_at_the_same_time(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine, (), classes_open=True, repeats="first")
    graded(engine, runtime, project)
    over = threading.Event()
    errors: list[BaseException] = []

    def refits() -> None:
        other = Runtime.open(runtime.settings)
        try:
            while not over.is_set():
                refit_now(engine, other, project)
        except BaseException as error:  # noqa: BLE001 - for the test's own thread to tell
            errors.append(error)
        finally:
            other.close()

    thread = threading.Thread(target=refits)
    thread.start()
    try:
        for seed in range(2, 12):
            body = crowd(seed, challenges=10, classes="abcdefgh"[:seed])
            accept(engine, project, *split(body, 15))
            assert drain(runtime, project) == []
    finally:
        over.set()
        thread.join()
    assert errors == []
    books(engine, project)
    refit_now(engine, runtime, project)
    assert all(verdict.final for verdict in verdicts(engine, project).values())
    books(engine, project)


def test_a_lost_claim_changes_nothing_more(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    graded(engine, runtime, project)
    before = verdicts(engine, project)
    request(engine, project)
    with engine.begin() as connection:
        claim = runs.claim(connection, project, 30)
    assert claim is not None
    snapshot = take(engine, runtime, project)
    plan = scheme.make(snapshot.grading, runtime.device)
    fit = plan.model.fit(snapshot.answers, form=plan.form)
    execute(engine, "UPDATE model_runs SET lease_until = now()")
    with pytest.raises(StaleClaimError):
        refit.publish(runtime, snapshot, plan, fit, claim)
    assert verdicts(engine, project) == before
    with engine.begin() as connection:
        runs.fail(connection, claim, "too late")
        runs.expire(connection, 5)
    assert latest(engine, project).state == "waiting"
    refit.run(runtime, project)
    done = latest(engine, project)
    assert (done.state, done.error, done.answers) == ("done", None, books(engine, project).graded)


@pytest.mark.parametrize("action", [TERMINATE, fail("40001"), fail("40P01")], ids=["lost", "serialization", "deadlock"])
@pytest.mark.parametrize("event", ["UPDATE ON consensus", "UPDATE ON respondent_statistics"])
def test_what_passes_by_itself_is_tried_again(engine: Engine, runtime: Runtime, event: str, action: str) -> None:
    project = make_project(engine)
    graded(engine, runtime, project)
    with fault(engine, event, action, times=2):
        refit_now(engine, runtime, project)
    assert latest(engine, project).state == "done"
    assert all(verdict.final for verdict in verdicts(engine, project).values())
    books(engine, project)


def test_a_run_that_fails_says_why(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    graded(engine, runtime, project)
    before = verdicts(engine, project)
    request(engine, project)
    with (
        fault(engine, "UPDATE ON respondent_statistics", fail("22000"), times=9),
        pytest.raises(Exception, match="fault"),
    ):
        refit.run(runtime, project)
    failed = latest(engine, project)
    assert (failed.state, failed.error) == ("failed", "DataException: a fault of the test")
    assert failed.finished_at is not None
    assert verdicts(engine, project) == before
    books(engine, project)


@pytest.mark.parametrize("open_", [False, True], ids=["declared", "open"])
def test_a_project_without_answers_cannot_be_refitted(engine: Engine, runtime: Runtime, open_: bool) -> None:
    project = make_project(engine, () if open_ else "ab", classes_open=open_)
    request(engine, project)
    with pytest.raises(refit.RefitError):
        refit.run(runtime, project)
    assert latest(engine, project).error == "RefitError: no answer of the project counts yet"


@pytest.mark.parametrize("asked", [False, True], ids=["alone", "another waits"])
def test_a_run_that_is_given_back_waits_as_if_it_had_not_been_tried(engine: Engine, asked: bool) -> None:
    project = make_project(engine)
    request(engine, project)
    with engine.begin() as connection:
        claim = runs.claim(connection, project, 30)
    assert claim is not None
    if asked:
        request(engine, project)
    for _ in range(2):  # once is all there is to give back
        with engine.begin() as connection:
            runs.give_back(connection, claim)
    with engine.connect() as connection:
        found = [tuple(run) for run in connection.execute(text("SELECT state, attempts FROM model_runs ORDER BY id"))]
    assert found == ([("failed", 0), ("waiting", 0)] if asked else [("waiting", 0)])


def test_one_run_at_a_time_the_next_one_waits(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    graded(engine, runtime, project)
    assert refit.run(runtime, project) == NOTHING_LEFT
    request(engine, project)
    request(engine, project)
    with engine.connect() as connection:
        assert scalar(connection, "SELECT count(*) FROM model_runs") == 1
    with engine.begin() as connection:
        first = runs.claim(connection, project, 30)
    assert first is not None
    request(engine, project)
    assert refit.run(runtime, project) == NOTHING_LEFT
    execute(engine, "UPDATE model_runs SET lease_until = now() WHERE id = :id", id=first.id)
    with engine.begin() as connection:
        runs.expire(connection, 5)
    with engine.connect() as connection:
        lost, waiting = runs.page(connection, project, after=0, limit=9)
    assert (lost.state, lost.error) == ("failed", "the lease ran out: the worker stopped or was killed")
    assert lost.finished_at is not None
    assert waiting.state == "waiting"
    refit.run(runtime, project)
    assert latest(engine, project).state == "done"


def test_a_run_that_was_asked_for_meanwhile_is_left_for_the_next_task(engine: Engine, runtime: Runtime) -> None:
    project = make_project(engine)
    graded(engine, runtime, project)
    request(engine, project)
    ask = f"INSERT INTO model_runs (project_id, cause) VALUES ({project}, 'requested')"
    with fault(engine, "UPDATE ON consensus", ask, times=1):
        assert refit.run(runtime, project).refits == (project,)
    assert refit.run(runtime, project) == NOTHING_LEFT
    with engine.connect() as connection:
        assert {run.state for run in runs.page(connection, project, after=0, limit=9)} == {"done"}


def test_a_lease_is_kept_while_a_fit_takes_longer_than_it(engine: Engine, runtime: Runtime) -> None:
    from workers import lease

    project = make_project(engine)
    request(engine, project)
    with engine.begin() as connection:
        claim = runs.claim(connection, project, 0.3)
    assert claim is not None

    def until_renewed() -> bool:
        with engine.connect() as connection:
            return bool(scalar(connection, "SELECT now() > started_at + '0.6 seconds' FROM model_runs"))

    with lease.kept(engine, partial(runs.renew, run=claim, lease=0.3), 0.3):
        until(until_renewed, "two leases to pass")
        with engine.begin() as connection:
            runs.renew(connection, claim, 0.3)


def take(engine: Engine, runtime: Runtime, project: int) -> Snapshot:
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        return refit.take(connection, project, runtime.device)
