"""`Prefer: wait`: grades in the reply to the POST, whoever hears of them, and whatever becomes of Redis."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import redis
from sqlalchemy import Engine, text

from api.cursors import encode
from cli.stack.server import Server
from config.settings import Settings
from tasks.process import Process
from tasks.publisher import Publisher
from tasks.queues import GRADED
from tests.integration.api.callers import Call, batch
from tests.processes import hanging
from tests.waiting import until
from workers import grading
from workers.runtime import Runtime

PATIENT = {"Prefer": "wait=30"}


@contextmanager
def working(settings: Settings, engine: Engine, *, telling: bool) -> Iterator[None]:
    """A thread that grades what waits; it may keep to itself what it has graded."""
    stop = threading.Event()

    def work() -> None:
        here = Process(Runtime.open(settings, name="test-worker"), Publisher(settings))
        while not stop.wait(0.02):
            with engine.connect() as connection:
                doors = connection.execute(text("SELECT DISTINCT project_id FROM batches WHERE state = 'waiting'"))
                projects = list(doors.scalars())
            for project in projects:
                left = grading.run(here.runtime, project, "live")
                if telling:
                    here.wake(left)
        here.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def listeners(settings: Settings) -> int:
    with redis.Redis.from_url(settings.require_redis_url()) as client:
        ((_, number),) = client.pubsub_numsub(GRADED)
    return int(number)


def test_grades_and_scores_come_in_the_reply(
    client: httpx.Client, project: str, settings: Settings, engine: Engine
) -> None:
    until(lambda: listeners(settings), "the API listens")
    answers = batch(3)["answers"] + [{"challenge": "c0", "respondent": "s", "skip": True, "session": "one"}]
    with working(settings, engine, telling=True):
        start = time.monotonic()
        reply = client.post(f"{project}/batches", json={"answers": answers}, headers=PATIENT)
        took = time.monotonic() - start
    assert (reply.status_code, reply.headers["Preference-Applied"]) == (200, "wait=30"), reply.text
    assert took < 10
    body, location = reply.json(), reply.headers["Location"]
    assert body["batch"] == client.get(location).json()
    assert body["grades"] == client.get(f"{location}/grades").json()["items"]
    assert body["scores"] == client.get(f"{location}/scores").json()["items"]
    assert [grade["skip"] for grade in body["grades"]] == [False, False, False, True]
    assert body["grades"][3]["answer"] is body["grades"][3]["grade"] is body["grades"][3]["current_grade"] is None
    assert all(0 < grade["grade"] == pytest.approx(grade["current_grade"], abs=1e-6) for grade in body["grades"][:3])
    assert [(s["respondent"], s["session"], s["answers"]) for s in body["scores"]] == [("r", None, 3), ("s", "one", 0)]
    low, high = body["scores"][0]["interval"]
    assert low < body["scores"][0]["score"] < high


def test_pages_of_scores_and_who_is_told_them(call: Call, project: str, settings: Settings, engine: Engine) -> None:
    answers = [{"challenge": f"c{n}", "respondent": f"r{min(n, 3)}", "answer": "a"} for n in range(30)]
    answers += [
        {"challenge": f"c{n}", "respondent": "r3", "answer": "a", "session": "é Z"[n % 3]} for n in range(40, 50)
    ]
    with working(settings, engine, telling=True):
        reply = call().post(f"{project}/batches", json={"answers": answers}, headers={"Prefer": "wait=2"})
    assert reply.status_code == 200
    outsider = call("acme", "read")
    path = f"{reply.headers['Location']}/scores"
    for limit in (1, 2, 7):
        cursor = None
        seen: list[dict[str, object]] = []
        while cursor or not seen:
            page = outsider.get(path, params={"limit": limit} | ({"after": cursor} if cursor else {})).json()
            seen, cursor = seen + page["items"], page["next"]
        assert [(score["respondent"], score["session"]) for score in seen] == [
            *((f"r{n}", None) for n in range(4)),
            *(("r3", session) for session in (" ", "Z", "é")),
        ]
        assert [score["score"] is None for score in seen] == [True] * 3 + [False] * 4
    assert None not in [score["score"] for score in call().get(path).json()["items"]]
    wrong = outsider.get(path, params={"after": encode(7)})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/query/after")


def test_without_a_worker_the_reply_is_as_ever(client: httpx.Client, project: str) -> None:
    reply = client.post(f"{project}/batches", json=batch(1), headers={"Prefer": "wait=1"})
    assert (reply.status_code, reply.json()["state"]) == (202, "waiting")
    assert "Preference-Applied" not in reply.headers


@pytest.mark.parametrize("prefer", ["wait=soon", "wait", "respond-async", "wait=-1"])
def test_what_is_not_understood_is_ignored(client: httpx.Client, project: str, prefer: str) -> None:
    assert client.post(f"{project}/batches", json=batch(1), headers={"Prefer": prefer}).status_code == 202


def test_who_may_not_read_does_not_wait(call: Call, project: str) -> None:
    start = time.monotonic()
    assert call("acme", "submit").post(f"{project}/batches", json=batch(1), headers=PATIENT).status_code == 202
    assert time.monotonic() - start < 10


def test_a_repeated_post_waits_likewise(client: httpx.Client, project: str, settings: Settings, engine: Engine) -> None:
    headers = {"Idempotency-Key": "one"}
    first = client.post(f"{project}/batches", json=batch(2), headers=headers)
    with working(settings, engine, telling=True):
        again = [client.post(f"{project}/batches", json=batch(2), headers=headers | PATIENT) for _ in range(2)]
    assert first.status_code == 202
    assert [reply.status_code for reply in again] == [200, 200]
    assert {reply.json()["batch"]["id"] for reply in again} == {first.json()["id"]}


def test_a_lost_word_costs_time_never_an_answer(
    client: httpx.Client, project: str, settings: Settings, engine: Engine
) -> None:
    with working(settings, engine, telling=False):
        reply = client.post(f"{project}/batches", json=batch(2), headers={"Prefer": "wait=3"})
    assert (reply.status_code, len(reply.json()["grades"])) == (200, 2)


def test_a_cut_connection_to_redis_is_made_again(
    client: httpx.Client, project: str, settings: Settings, engine: Engine
) -> None:
    until(lambda: listeners(settings), "the API listens")
    with redis.Redis.from_url(settings.require_redis_url()) as valkey:
        assert valkey.execute_command("CLIENT", "KILL", "TYPE", "pubsub") >= 1
        valkey.flushall()
    until(lambda: listeners(settings), "the API listens again")
    with working(settings, engine, telling=True):
        start = time.monotonic()
        assert client.post(f"{project}/batches", json=batch(2), headers=PATIENT).status_code == 200
        assert time.monotonic() - start < 15


def test_a_hanging_redis_costs_time_only(
    client: httpx.Client, project: str, settings: Settings, engine: Engine, valkey: Server
) -> None:
    with hanging(valkey), working(settings, engine, telling=False):
        reply = client.post(f"{project}/batches", json=batch(2), headers={"Prefer": "wait=3"})
    assert reply.status_code == 200
