"""The main job."""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import httpx
import pytest
from sqlalchemy import Engine

from tests.functional import books
from tests.functional.conftest import Answer
from tests.functional.fleet import Fleet
from tests.locks import waiting_for_locks
from tests.waiting import until


def post(api: httpx.Client, answers: list[Answer], key: str | None = None, lane: str = "live") -> httpx.Response:
    """POST one batch to the project `quiz`."""
    headers = {"Idempotency-Key": key} if key else {}
    return api.post("/projects/quiz/batches", params={"lane": lane}, json={"answers": answers}, headers=headers)


def test_answers_become_grades_verdicts_and_reliabilities(
    fleet: Fleet, api: httpx.Client, engine: Engine, crowd: list[list[Answer]]
) -> None:
    fleet.worker()
    replies = [post(api, batch) for batch in crowd]
    assert {reply.status_code for reply in replies} == {202}

    until(lambda: books.everything_graded(engine, "quiz"), "400 graded answers")
    batch = api.get(replies[0].headers["Location"].removeprefix("/v1")).json()
    assert batch["state"] == "graded"
    assert batch["counts"]["graded"] == 40

    grades = api.get(f"/projects/quiz/batches/{batch['id']}/grades", params={"limit": 1000}).json()["items"]
    assert [grade["position"] for grade in grades] == list(range(40))
    assert [grade["challenge"] for grade in grades] == [answer["challenge"] for answer in crowd[0]]
    assert all(0 <= grade["grade"] <= 1 and grade["state"] == "graded" for grade in grades)

    consensus = api.get("/projects/quiz/challenges/c4").json()
    assert consensus["answer"] == "yes"
    assert consensus["answers"] == 20
    assert not consensus["final"]
    assert abs(sum(consensus["posterior"].values()) - 1) < 1e-8

    respondent = api.get("/projects/quiz/respondents/r3").json()
    low, high = respondent["interval"]
    assert low < respondent["accuracy"] < high
    assert respondent["answers"] == 20
    assert books.balance(engine, "quiz").lost == 0
    assert books.deviation(engine, 2) < 1e-6


def test_a_refit_makes_verdicts_final(
    fleet: Fleet, api: httpx.Client, engine: Engine, crowd: list[list[Answer]]
) -> None:
    fleet.worker()
    fleet.worker("refit")
    for batch in crowd[:-1]:
        post(api, batch).raise_for_status()
    until(lambda: books.everything_graded(engine, "quiz"), "graded answers")

    run = api.post("/projects/quiz/model-runs")
    assert run.status_code == 202
    location = run.headers["Location"].removeprefix("/v1")
    until(lambda: api.get(location).json()["state"] == "done", "a published model run")
    verdict = api.get("/projects/quiz/challenges/c4").json()
    assert verdict["final"]
    assert verdict["model_run"] == run.json()["id"]

    post(api, crowd[-1]).raise_for_status()
    until(lambda: books.everything_graded(engine, "quiz"), "a late batch that is graded")
    changed = {answer["challenge"] for answer in crowd[-1]}
    for challenge in (f"c{number}" for number in range(20)):
        assert api.get(f"/projects/quiz/challenges/{challenge}").json()["final"] == (challenge not in changed)
    assert books.deviation(engine, 2) < 1e-6


def test_the_same_batch_ten_times_at_once_is_graded_once(
    fleet: Fleet, api: httpx.Client, engine: Engine, crowd: list[list[Answer]]
) -> None:
    fleet.worker()
    with ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(lambda _: post(api, crowd[0], key="one"), range(10)))
    assert {reply.status_code for reply in replies} == {202}
    assert len({reply.content for reply in replies}) == 1
    assert post(api, crowd[1], key="one").status_code == 409

    until(lambda: books.everything_graded(engine, "quiz"), "a graded batch")
    row = books.balance(engine, "quiz")
    assert (row.accepted, row.graded, row.lost) == (40, 40, 0)
    assert books.deviation(engine, 2) < 1e-6


@pytest.mark.parametrize("shared", ["challenges", "respondents"])
def test_two_workers_in_the_middle_of_claims_that_overlap(
    fleet: Fleet, api: httpx.Client, engine: Engine, crowd: list[list[Answer]], shared: str
) -> None:
    """In every round both are stopped at the same rows, and go on at once."""
    answers = list(chain(*crowd))
    if shared == "challenges":
        table, rounds = "consensus", [(crowd[1], crowd[2]), (crowd[3], crowd[4]), (crowd[5], crowd[6])]
    else:
        table = "respondent_statistics"
        halves = [[a for a in answers[40:] if (int(a["challenge"][1:]) < 10) == low] for low in (True, False)]
        rounds = list(zip(*([half[:50], half[50:100], half[100:]] for half in halves), strict=True))
    fleet.worker("live")
    fleet.worker("bulk")
    post(api, crowd[0]).raise_for_status()
    until(lambda: books.everything_graded(engine, "quiz"), "a first batch that makes the rows")
    for live, bulk in rounds:
        with books.held(engine, table):
            post(api, live, lane="live").raise_for_status()
            post(api, bulk, lane="bulk").raise_for_status()
            until(lambda: waiting_for_locks(engine, "touchstone-%") == 2, "two workers that meet")
        until(lambda: books.everything_graded(engine, "quiz"), "both batches to be graded")

    row = books.balance(engine, "quiz")
    assert row.graded == 40 + sum(len(live) + len(bulk) for live, bulk in rounds)
    assert row.lost == 0
    assert books.twice(engine) == 0
    assert books.deviation(engine, 2) < 1e-6
