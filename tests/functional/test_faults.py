"""What is killed, stopped, emptied and restarted loses nothing and doubles nothing."""

import signal
from collections.abc import Callable

import httpx
import redis
from sqlalchemy import Engine, text

from cli.stack.server import Server
from config.settings import Settings
from tasks.publisher import STAY_MS
from tests.functional import books
from tests.functional.conftest import Answer
from tests.functional.fleet import Fleet, client
from tests.functional.test_grading import post
from tests.locks import waiting_for_locks
from tests.waiting import until


def assert_books_balance(engine: Engine, graded: int) -> None:
    """All graded once, statistics right, no claim left."""
    row = books.balance(engine, "quiz")
    assert (row.graded, row.waiting, row.lost) == (graded, 0, 0)
    assert books.twice(engine) == 0
    assert books.deviation(engine, 2) < 1e-6
    assert books.claimed(engine) == 0


def test_a_worker_killed_inside_a_claim(
    fleet: Fleet, api: httpx.Client, engine: Engine, crowd: list[list[Answer]]
) -> None:
    worker = fleet.worker()
    post(api, crowd[0]).raise_for_status()
    until(lambda: books.everything_graded(engine, "quiz"), "a first batch that makes the challenges")

    with books.held(engine, "consensus"):
        post(api, crowd[1]).raise_for_status()
        until(lambda: books.claimed(engine) and waiting_for_locks(engine, "touchstone-%"), "a worker inside its claim")
        worker.kill()
        assert books.claimed(engine) == 1
        assert books.balance(engine, "quiz").waiting  # what nobody held is graded

    fleet.worker()
    until(lambda: books.everything_graded(engine, "quiz"), "the claim to be taken over")
    assert_books_balance(engine, 80)


def test_a_worker_stopped_past_its_lease_changes_nothing_when_it_goes_on(
    fleet: Fleet, api: httpx.Client, engine: Engine, crowd: list[list[Answer]]
) -> None:
    stopped = fleet.worker()
    post(api, crowd[0]).raise_for_status()
    until(lambda: books.everything_graded(engine, "quiz"), "a first batch that makes the challenges")

    with books.held(engine, "consensus"):
        post(api, crowd[1]).raise_for_status()
        until(lambda: books.claimed(engine) and waiting_for_locks(engine, "touchstone-%"), "a worker inside its claim")
        stopped.signal(signal.SIGSTOP)
        until(lambda: books.claimed(engine) == 0, "the lease to run out")

    # The stopped worker's transaction now holds the challenges; Postgres ends it, and only then can another grade.
    fleet.worker()
    until(lambda: books.everything_graded(engine, "quiz"), "the claim to be taken over")
    assert_books_balance(engine, 80)
    before = post_mortem(engine)

    stopped.signal(signal.SIGCONT)
    until(lambda: stopped.said("claim lost"), "the stopped worker to find out")
    assert post_mortem(engine) == before
    post(api, crowd[2]).raise_for_status()
    until(lambda: books.everything_graded(engine, "quiz"), "both workers to go on")
    assert_books_balance(engine, 120)


def post_mortem(engine: Engine) -> tuple[list[tuple[object, ...]], ...]:
    """Everything that a claim writes, but for posteriors and what follows from them: the idle revisit those."""
    queries = (
        "SELECT * FROM answers ORDER BY batch_id, position",
        "SELECT * FROM batches ORDER BY id",
        "SELECT challenge_id, revision, answers FROM consensus ORDER BY challenge_id",
        "SELECT respondent_id, answers FROM respondent_statistics ORDER BY respondent_id",
    )
    with engine.connect() as connection:
        return tuple([tuple(row) for row in connection.exec_driver_sql(query)] for query in queries)


def test_valkey_restarted_empty_between_accept_and_grade(
    fleet: Fleet, api: httpx.Client, engine: Engine, valkey: Server, crowd: list[list[Answer]]
) -> None:
    for batch in crowd[:3]:
        post(api, batch).raise_for_status()
    valkey.restart()
    fleet.worker()
    until(lambda: books.everything_graded(engine, "quiz"), "an idle worker's sweep to find what nobody rings for")
    assert_books_balance(engine, 120)

    # The API finds its way back too: its next doorbell is heard.
    post(api, crowd[3]).raise_for_status()
    until(lambda: books.everything_graded(engine, "quiz"), "a doorbell over the new Valkey")
    assert_books_balance(engine, 160)


def test_valkey_away_while_answers_come(
    fleet: Fleet, api: httpx.Client, engine: Engine, valkey: Server, crowd: list[list[Answer]]
) -> None:
    fleet.worker()
    valkey.kill()
    try:
        for batch in crowd[:3]:
            assert post(api, batch).status_code == 202
    finally:
        valkey.start()
    until(lambda: books.everything_graded(engine, "quiz"), "the worker to come back")
    assert_books_balance(engine, 120)


def test_a_door_is_left_to_the_worker_that_knows_the_project_unless_it_is_gone(
    fleet: Fleet, api: httpx.Client, engine: Engine, settings: Settings, crowd: list[list[Answer]]
) -> None:
    knowing, other = fleet.worker(), fleet.worker()
    with engine.connect() as connection:
        project = connection.execute(text("SELECT id FROM projects")).scalar_one()

    def post_while_at_home(batch: list[Answer], node: str) -> None:
        valkey.set(f"home:{project}", node, px=STAY_MS)
        post(api, batch).raise_for_status()
        until(lambda: books.everything_graded(engine, "quiz"), "a grade")

    with redis.Redis.from_url(settings.require_redis_url()) as valkey:
        for batch in crowd[:5]:
            post_while_at_home(batch, knowing.node)
        assert (knowing.said('"graded"'), other.said('"graded"')) == (True, False)
        post_while_at_home(crowd[5], "gone@nowhere")
        assert valkey.llen("gone@nowhere.dq2") == 1
    assert_books_balance(engine, 240)


def test_postgres_restarted_under_load(
    fleet: Fleet, api: httpx.Client, engine: Engine, postgres: Server, crowd: list[list[Answer]]
) -> None:
    fleet.worker()
    accepted = [post(api, batch, key=f"before-{index}") for index, batch in enumerate(crowd[:5])]
    assert {reply.status_code for reply in accepted} == {202}
    postgres.kill()
    refused = post(api, crowd[5], key="after-5")
    postgres.start()
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]

    until(lambda: post(api, crowd[5], key="after-5").status_code == 202, "the API to accept again")
    for batch in crowd[6:]:
        post(api, batch).raise_for_status()
    until(lambda: books.everything_graded(engine, "quiz"), "everything to be graded")
    assert_books_balance(engine, 400)


def test_a_worker_that_is_to_end_gives_its_model_run_back(
    make_fleet: Callable[..., Fleet], key: str, engine: Engine, crowd: list[list[Answer]]
) -> None:
    fleet = make_fleet(lease=2, sweep_interval=0.5)

    def run() -> tuple[str, int]:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT state, attempts FROM model_runs ORDER BY id DESC LIMIT 1")).one()
        return found.state, found.attempts

    with client(fleet.api(), key) as api:
        api.post("/projects", json={"name": "quiz", "classes": ["no", "yes"]}).raise_for_status()
        fleet.worker()
        post(api, crowd[0]).raise_for_status()
        until(lambda: books.everything_graded(engine, "quiz"), "answers to learn from")
        refits = fleet.worker("refit")
        with engine.begin() as others:
            others.execute(text("LOCK TABLE consensus IN ACCESS EXCLUSIVE MODE"))
            api.post("/projects/quiz/model-runs").raise_for_status()
            until(
                lambda: run() == ("running", 1) and waiting_for_locks(engine, "touchstone-refit"), "a refit under way"
            )
            refits.signal(signal.SIGTERM)
            until(lambda: not refits.running, "a worker that waits no longer than it may")
            assert run() == ("waiting", 0)
        fleet.worker("refit")
        until(lambda: run() == ("done", 1), "another to do it")
