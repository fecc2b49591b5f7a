"""Projects: their classes grow under their lock, and what would change the past cannot be changed."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from db import projects, tenants
from db.errors import ConflictError, NotFoundError
from tests.integration.workers.crowd import accept, answer, make_project
from tests.locks import waiting_for_locks
from tests.waiting import until


def test_two_workers_that_meet_new_classes_at_once(engine: Engine) -> None:
    project = make_project(engine, (), classes_open=True)

    def second() -> tuple[str, ...]:
        with engine.begin() as connection:
            return projects.append_classes(connection, project, ["c", "b"])

    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            assert projects.append_classes(connection, project, ["d", "b"]) == ("b", "d")
            waiting = pool.submit(second)
            until(lambda: waiting_for_locks(engine), "the second to wait for the first")
        assert waiting.result() == ("b", "d", "c")
    with engine.connect() as connection:
        assert projects.grading(connection, project).classes == ("b", "d", "c")


def test_no_more_classes_than_there_may_be(engine: Engine) -> None:
    project = make_project(engine, (), classes_open=True, max_classes=3)
    with engine.begin() as connection:
        assert projects.append_classes(connection, project, ["d", "b", "c", "a"]) == ("a", "b", "c")
        assert projects.append_classes(connection, project, ["z"]) == ("a", "b", "c")


def test_batches_are_accepted_while_classes_grow(engine: Engine) -> None:
    project = make_project(engine, (), classes_open=True)
    with engine.begin() as connection:
        projects.append_classes(connection, project, ["a"])
        with ThreadPoolExecutor(1) as pool:
            accepted = pool.submit(accept, engine, project, [answer("c", "r", "a")])
            assert len(accepted.result(timeout=30)) == 1


def test_how_repeats_count_is_settled_by_the_first_batch(engine: Engine) -> None:
    project = make_project(engine, repeats="first")
    with engine.begin() as connection:
        tenant = tenants.get(connection, "acme").id
        projects.change(connection, tenant, "project", {"repeats": "last", "pass_threshold": 0.9})
    accept(engine, project, [answer("c", "r", "a")])
    with engine.begin() as connection:
        projects.change(connection, tenant, "project", {"repeats": "last", "model": "majority"})
        with pytest.raises(ConflictError, match="repeats"):
            projects.change(connection, tenant, "project", {"repeats": "all"})
        found = projects.get(connection, tenant, "project")
    assert (found.repeats, found.pass_threshold, found.model) == ("last", 0.9, "majority")


def test_no_tenant_sees_anothers_project(engine: Engine) -> None:
    make_project(engine)
    with engine.begin() as connection:
        other = tenants.create(connection, "other").id
        with pytest.raises(NotFoundError):
            projects.get(connection, other, "project")
        with pytest.raises(NotFoundError):
            projects.change(connection, other, "project", {"model": "majority"})
        assert projects.page(connection, other, after="", limit=9) == []


def test_a_name_is_taken_once(engine: Engine) -> None:
    make_project(engine)
    with pytest.raises(ConflictError):
        make_project(engine)


def test_another_models_run_says_nothing_to_this_one(engine: Engine) -> None:
    project = make_project(engine, model="dawid-skene")
    with engine.begin() as connection:
        run = text(
            "INSERT INTO model_runs (project_id, state, cause, model, prior)"
            " VALUES (:p, 'done', 'requested', 'one-coin', '{}') RETURNING id"
        )
        run_id = connection.execute(run, {"p": project}).scalar_one()
        connection.execute(text("UPDATE projects SET current_run_id = :run"), {"run": run_id})
        assert projects.grading(connection, project).prior is None
        connection.execute(text("UPDATE projects SET model = 'one-coin'"))
        assert projects.grading(connection, project).run_id == run_id
