"""Tasks as a worker calls them: what they leave is rung for after the commit."""

import base64
import json

import pytest
import redis
from celery import Celery
from sqlalchemy import Engine

from db import runs
from tasks.process import Process
from tests.integration.workers.crowd import accept, answer, books, crowd, execute, make_project, split
from workers import faults
from workers.revisit import LONGEST_REST, REST, rest


def test_grade_hears_the_bell_grades_and_rings_for_the_rest(
    engine: Engine, here: Process, app: Celery, client: redis.Redis
) -> None:
    project, other = make_project(engine), make_project(engine, name="other")
    accept(engine, project, *split(crowd(1) * 4, 5))
    accept(engine, other, [answer("c", "r", "a")])  # who must not wait for long
    here.publisher.ring(project, "live")
    app.tasks["grade"](project=project, lane="live")
    row = books(engine, project)
    assert 0 < row.graded + row.superseded < row.accepted
    assert client.llen("live") == 2
    while books(engine, project).waiting:
        app.tasks["grade"](project=project, lane="live")
    rung = client.llen("live")
    app.tasks["grade"](project=project, lane="live")
    assert client.llen("live") == rung
    assert not client.exists(f"doorbell:live:{project}")


def test_grade_fails_visibly_after_the_rest_is_done(
    engine: Engine, here: Process, app: Celery, client: redis.Redis
) -> None:
    project = make_project(engine)
    _, bad, _ = accept(engine, project, [answer("c", "r", "a")], [answer("d", "r", "a")], [answer("e", "r", "a")])
    execute(engine, "UPDATE payloads SET body = '' WHERE batch_id = (SELECT id FROM batches WHERE uid = :uid)", uid=bad)
    with pytest.raises(faults.GradingFailedError, match="is dead"):
        app.tasks["grade"](project=project, lane="live")
    while books(engine, project).waiting:
        app.tasks["grade"](project=project, lane="live")
    row = books(engine, project)
    assert (row.graded, row.dead) == (2, 1)


def test_sweep_rings_whatever_seems_to_be_rung(engine: Engine, here: Process, app: Celery, client: redis.Redis) -> None:
    project = make_project(engine)
    accept(engine, project, [answer("c", "r", "a")], lane="bulk")
    execute(engine, "UPDATE batches SET due_at = now() - '1 minute'::interval")
    with engine.begin() as connection:
        runs.request(connection, project, "requested")
    here.publisher.ring(project, "bulk")
    client.delete("bulk")
    app.tasks["sweep"]()
    assert (client.llen("bulk"), client.llen("refit")) == (1, 1)


def test_a_lesson_is_asked_of_the_refit_lane_and_begins_the_revisits_anew(
    engine: Engine, here: Process, app: Celery, client: redis.Redis
) -> None:
    project = make_project(engine)
    accept(engine, project, crowd(1))
    while books(engine, project).waiting:
        app.tasks["grade"](project=project, lane="live")
    app.tasks["revisit"](project=project)
    app.tasks["revisit"](project=project)
    assert client.llen("refit") == 1
    client.delete("bulk")
    app.tasks["learn"](project=project)
    assert client.llen("bulk") == 1
    app.tasks["learn"](project=project)
    app.tasks["revisit"](project=project)
    assert client.llen("refit") == 1


def test_a_lesson_that_cannot_be_paid_for_yet_is_asked_for_again_later(
    engine: Engine, here: Process, app: Celery, client: redis.Redis
) -> None:
    project = make_project(engine)
    for round_ in range(2):  # the first lesson comes whatever it costs
        accept(engine, project, crowd(round_), crowd(round_ + 2))
        while books(engine, project).waiting:
            app.tasks["grade"](project=project, lane="live")
        if round_ == 0:
            app.tasks["learn"](project=project)
    execute(engine, "UPDATE populations SET prior = jsonb_set(prior, '{cost}', '100')")
    client.delete("refit", f"doorbell:learn:{project}")
    for name in ("revisit", "learn"):
        app.tasks[name](project=project)
        (message,) = client.lrange("refit", 0, -1)
        assert json.loads(message)["headers"]["eta"], name
        client.delete("refit")
    execute(engine, "UPDATE batches SET finished_at = now() - interval '1 minute'")  # idle by now
    execute(engine, "UPDATE populations SET made_at = made_at - interval '2 minutes'")
    client.delete("bulk")
    app.tasks["learn"](project=project)
    assert client.llen("bulk") == 1


def test_revisits_are_put_off_by_a_worker_that_has_just_revisited_while_anything_waits(
    engine: Engine, here: Process, app: Celery, client: redis.Redis
) -> None:
    project, other = make_project(engine), make_project(engine, name="other")
    accept(engine, project, crowd(1))
    while books(engine, project).waiting:
        app.tasks["grade"](project=project, lane="live")
    accept(engine, other, [answer("c", "r", "a")])
    place = {"project": project, "after": 0, "number": 3, "moved": 1}

    def revisit(**further: int) -> list[dict[str, int]]:
        """Where to go on, as the message says."""
        client.delete("bulk")
        app.tasks["revisit"](**place, **further)
        return [
            json.loads(base64.b64decode(json.loads(message)["body"]))[1] for message in client.lrange("bulk", 0, -1)
        ]

    assert not any(further.get("put_off") for further in revisit())
    assert revisit() == [{**place, "put_off": 1}]
    assert revisit(put_off=1) == [{**place, "put_off": 2}]
    assert [rest(times) for times in (0, 1, 2, 50)] == [REST, 2 * REST, 4 * REST, LONGEST_REST]
    app.tasks["grade"](project=other, lane="live")
    execute(engine, "UPDATE batches SET finished_at = now() - interval '1 minute'")  # nobody waits any more
    assert not any(further.get("put_off") for further in revisit())


def test_refit_carries_out_what_waits(engine: Engine, here: Process, app: Celery) -> None:
    project = make_project(engine)
    accept(engine, project, crowd(1))
    while books(engine, project).waiting:
        app.tasks["grade"](project=project, lane="live")
    with engine.begin() as connection:
        runs.request(connection, project, "requested")
    app.tasks["refit"](project=project)
    with engine.connect() as connection:
        assert [run.state for run in runs.page(connection, project, after=0, limit=9)] == ["done"]
