"""Clients that wait for their grades, with the fleet as it runs."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
from sqlalchemy import Engine

from tests.functional import books
from tests.functional.conftest import Answer
from tests.functional.fleet import Fleet
from tests.waiting import until


def test_fifty_clients_wait_at_once(fleet: Fleet, api: httpx.Client, engine: Engine, crowd: list[list[Answer]]) -> None:
    fleet.worker()

    def post(answers: list[Answer]) -> tuple[httpx.Response, float]:
        start = time.monotonic()
        reply = api.post("/projects/quiz/batches", json={"answers": answers}, headers={"Prefer": "wait=30"})
        return reply, time.monotonic() - start

    post(crowd[0])  # the first claim of a process loads torch
    everything = [answer for part in crowd[1:] for answer in part]
    groups = [everything[start::50] for start in range(50)]
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(post, groups))

    assert {reply.status_code for reply, _ in replies} == {200}
    assert [len(reply.json()["grades"]) for reply, _ in replies] == [len(group) for group in groups]
    assert max(took for _, took in replies) < 15
    until(lambda: books.everything_graded(engine, "quiz"), "the books")
    assert books.balance(engine, "quiz").lost == 0
