"""The main job."""

from concurrent.futures import ThreadPoolExecutor

import httpx
from sqlalchemy import Engine, text

from tests.functional import books
from tests.functional.conftest import Answer
from tests.functional.fleet import Fleet
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


def test_two_workers_share_the_same_challenges(
    fleet: Fleet, api: httpx.Client, engine: Engine, crowd: list[list[Answer]]
) -> None:
    """Every batch touches every challenge and respondent; halves of it go to different lanes at once."""
    fleet.worker("live")
    fleet.worker("bulk")
    batches = [crowd[index][start : start + 4] for index in range(10) for start in range(0, 40, 4)]
    with ThreadPoolExecutor(8) as pool:
        replies = list(
            pool.map(lambda pair: post(api, pair[1], lane=("live", "bulk")[pair[0] % 2]), enumerate(batches))
        )
    assert {reply.status_code for reply in replies} == {202}

    until(lambda: books.everything_graded(engine, "quiz"), "400 graded answers")
    row = books.balance(engine, "quiz")
    assert (row.graded, row.lost) == (400, 0)
    assert books.twice(engine) == 0
    assert books.deviation(engine, 2) < 1e-6
    with engine.connect() as connection:
        workers = connection.execute(text("SELECT count(DISTINCT lane) FROM batches WHERE state = 'graded'"))
        assert workers.scalar_one() == 2
