"""Batches through the door: what is stored, what is refused, and how that is said."""

import gzip
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import Engine, text

from config.settings import Settings
from db import bodies
from tests.integration.api.callers import batch


def stored(engine: Engine) -> list[Any]:
    """Batches, and their bodies as they wait."""
    query = text("SELECT b.*, p.body, p.media_type FROM batches b JOIN payloads p ON p.batch_id = b.id ORDER BY b.id")
    with engine.begin() as connection:
        return list(connection.execute(query))


def rejected(engine: Engine) -> list[tuple[int, str]]:
    with engine.begin() as connection:
        return [
            (row.position, row.reason)
            for row in connection.execute(text("SELECT * FROM failures WHERE state = 'rejected' ORDER BY position"))
        ]


def test_an_accepted_batch_is_in_postgres_as_it_was_sent(client: httpx.Client, project: str, engine: Engine) -> None:
    reply = client.post(f"{project}/batches?lane=bulk", json=batch(3), headers={"Idempotency-Key": "one"})

    assert reply.status_code == 202, reply.text
    assert reply.json() | {"id": ""} == {
        "id": "",
        "project": "cats",
        "lane": "bulk",
        "state": "waiting",
        "answers": 3,
        "rejected": [],
    }
    assert reply.headers["Location"] == f"{project}/batches/{reply.json()['id']}"
    assert reply.headers["Idempotency-Key"] == "one"
    (row,) = stored(engine)
    assert (row.state, row.lane, row.answers, row.body) == ("waiting", "bulk", 3, reply.request.content)
    assert row.size == len(reply.request.content)
    shown = client.get(reply.headers["Location"]).json()
    assert shown["counts"] == {
        "waiting": 3, "graded": 0, "superseded": 0, "rejected": 0, "dead": 0, "cancelled": 0,
    }  # fmt: skip
    assert shown["idempotency_key"] == "one"


@pytest.mark.parametrize("answers", [200, 2000])
def test_a_long_body_waits_packed(client: httpx.Client, project: str, engine: Engine, answers: int) -> None:
    reply = client.post(f"{project}/batches", json=batch(answers))

    assert reply.status_code == 202, reply.text
    (row,) = stored(engine)
    assert len(row.body) < row.size / 4
    assert row.size == len(reply.request.content)
    assert bodies.unpack(row.body) == reply.request.content


def test_the_server_makes_a_key_when_there_is_none(client: httpx.Client, project: str, engine: Engine) -> None:
    first, second = (client.post(f"{project}/batches", json=batch(1)) for _ in range(2))
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]
    assert len(stored(engine)) == 2
    assert uuid.UUID(first.json()["id"]) < uuid.UUID(second.json()["id"])


def test_the_same_post_twice_gets_the_same_reply(client: httpx.Client, project: str, engine: Engine) -> None:
    key = {"Idempotency-Key": "same"}
    first, second = (client.post(f"{project}/batches", json=batch(2), headers=key) for _ in range(2))
    assert (second.status_code, second.content) == (202, first.content)
    assert second.headers["Location"] == first.headers["Location"]
    zipped = client.post(
        f"{project}/batches",
        content=gzip.compress(first.request.content),
        headers={**key, "Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    assert zipped.content == first.content
    assert len(stored(engine)) == 1


@pytest.mark.parametrize("query", ["", "?lane=bulk", "?partial=true"])
def test_another_post_under_the_same_key_is_a_conflict(
    client: httpx.Client, project: str, engine: Engine, query: str
) -> None:
    key = {"Idempotency-Key": "same"}
    assert client.post(f"{project}/batches", json=batch(2), headers=key).status_code == 202
    other = client.post(f"{project}/batches{query}", json=batch(2 if query else 3), headers=key)
    assert other.status_code == 409
    assert other.headers["Content-Type"] == "application/problem+json"
    assert len(stored(engine)) == 1


def test_ten_posts_of_one_key_at_once_store_one_batch(client: httpx.Client, project: str, engine: Engine) -> None:
    def post(_: int) -> httpx.Response:
        return client.post(f"{project}/batches", json=batch(5), headers={"Idempotency-Key": "race"})

    with ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(post, range(10)))
    assert {(reply.status_code, reply.content) for reply in replies} == {(202, replies[0].content)}
    assert len(stored(engine)) == 1


def test_many_posts_at_once_are_each_stored(client: httpx.Client, project: str, engine: Engine) -> None:
    def post(index: int) -> httpx.Response:
        return client.post(f"{project}/batches", json=batch(2, start=index), headers={"Idempotency-Key": f"k{index}"})

    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(post, range(100)))
    assert {reply.status_code for reply in replies} == {202}
    bodies_by_uid = {str(row.uid): row.body for row in stored(engine)}
    assert bodies_by_uid == {reply.json()["id"]: reply.request.content for reply in replies}


def test_every_wrong_answer_is_named_and_nothing_is_stored(client: httpx.Client, project: str, engine: Engine) -> None:
    body = batch(20)
    body["answers"][17]["answer"] = "x"
    del body["answers"][3]["respondent"]
    reply = client.post(f"{project}/batches", json=body)
    assert reply.status_code == 422
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json()["errors"] == [
        {"pointer": "/answers/3/respondent", "detail": "is missing"},
        {"pointer": "/answers/17/answer", "detail": '"x" is not one of a, b'},
    ]
    assert stored(engine) == []


def test_partial_stores_the_good_answers_at_their_positions(client: httpx.Client, project: str, engine: Engine) -> None:
    body: dict[str, Any] = batch(4)
    body["answers"][1]["answer"] = 5
    reply = client.post(f"{project}/batches?partial=true", json=body)
    assert reply.status_code == 202
    assert reply.json()["answers"] == 4
    assert reply.json()["rejected"] == [{"pointer": "/answers/1/answer", "detail": "must be a string"}]
    (row,) = stored(engine)
    answers = bodies.decode(row.body, row.media_type)
    assert [answer.challenge for answer in answers] == ["c0", "-", "c2", "c3"]
    assert row.rejected == 1
    assert rejected(engine) == [(1, "answer: must be a string")]
    grades = client.get(f"{reply.headers['Location']}/grades").json()["items"]
    assert [(grade["position"], grade["state"], grade["reason"]) for grade in grades] == [
        (1, "rejected", "answer: must be a string")
    ]
    assert client.get(reply.headers["Location"]).json()["counts"]["waiting"] == 3


def test_partial_keeps_a_body_that_decodes_as_it_was(client: httpx.Client, project: str, engine: Engine) -> None:
    body = batch(2)
    body["answers"][0]["answer"] = "x"
    reply = client.post(f"{project}/batches?partial=true", json=body)
    assert reply.status_code == 202
    (row,) = stored(engine)
    assert row.body == reply.request.content
    assert rejected(engine) == [(0, 'answer: "x" is not one of a, b')]


def test_partial_with_nothing_good_is_refused(client: httpx.Client, project: str, engine: Engine) -> None:
    reply = client.post(f"{project}/batches?partial=true", json=batch(2, answer="x"))
    assert reply.status_code == 422
    assert len(reply.json()["errors"]) == 2
    assert stored(engine) == []


def test_ndjson_is_named_by_line(client: httpx.Client, project: str, engine: Engine) -> None:
    lines = [json.dumps(answer) for answer in batch(3)["answers"]]
    headers = {"Content-Type": "application/x-ndjson; charset=utf-8"}
    good = client.post(f"{project}/batches", content="\n".join(lines) + "\n", headers=headers)
    assert (good.status_code, good.json()["answers"]) == (202, 3)
    lines[1] = "{"
    bad = client.post(f"{project}/batches", content="\n".join(lines), headers=headers)
    assert (bad.status_code, bad.json()["errors"]) == (422, [{"pointer": "/1", "detail": "is not JSON"}])
    partial = client.post(f"{project}/batches?partial=true", content="\n".join(lines), headers=headers)
    assert partial.status_code == 202
    row = stored(engine)[-1]
    assert [answer.challenge for answer in bodies.decode(row.body, row.media_type)] == ["c0", "-", "c2"]


def test_an_open_project_takes_any_answer(client: httpx.Client) -> None:
    made = client.post("/v1/projects", json={"name": "open", "classes": "open", "max_classes": 5})
    reply = client.post(f"{made.headers['Location']}/batches", json=batch(1, answer="whatever"))
    assert reply.status_code == 202


def test_gzip_is_inflated_and_bounded(client: httpx.Client, project: str, settings: Settings, engine: Engine) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    plain = json.dumps(batch(3)).encode()
    members = gzip.compress(plain[:50]) + gzip.compress(plain[50:])
    assert client.post(f"{project}/batches", content=members, headers=headers).status_code == 202
    assert [row.body for row in stored(engine)] == [plain]
    bomb = gzip.compress(b" " * (settings.max_body_bytes * 20))
    for content, status in [(bomb, 413), (members[:-9], 422), (b"not gzip", 422)]:
        reply = client.post(f"{project}/batches", content=content, headers=headers)
        assert (reply.status_code, reply.headers["Content-Type"]) == (status, "application/problem+json")
    assert len(stored(engine)) == 1


def test_a_body_that_is_too_large_is_refused(client: httpx.Client, project: str, settings: Settings) -> None:
    content = b" " * (settings.max_body_bytes + 1)
    headers = {"Content-Type": "application/json"}
    declared = client.post(f"{project}/batches", content=content, headers=headers)
    chunked = client.post(f"{project}/batches", content=iter([content[:1000], content[1000:]]), headers=headers)
    patched = client.patch(project, content=iter([content]), headers=headers)
    assert [declared.status_code, chunked.status_code, patched.status_code] == [413, 413, 413]
    assert declared.json()["status"] == 413


def test_too_many_answers_are_refused(client: httpx.Client, project: str, settings: Settings) -> None:
    assert client.post(f"{project}/batches", json=batch(settings.max_answers + 1)).status_code == 413
    assert client.post(f"{project}/batches", json={"answers": [1] * (settings.max_answers + 1)}).status_code == 413


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"Content-Type": "text/plain"}, "", 415),
        ({"Content-Type": "application/json; charset=latin-1"}, "", 415),
        ({"Content-Encoding": "br"}, "", 415),
        ({"Idempotency-Key": "a b"}, "", 422),
        ({"Idempotency-Key": "a" * 201}, "", 422),
        ({}, "?lane=slow", 422),
        ({}, "?partial=perhaps", 422),
    ],
)
def test_what_is_asked_for_in_the_wrong_way_is_refused(
    client: httpx.Client, project: str, headers: dict[str, str], query: str, status: int
) -> None:
    reply = client.post(f"{project}/batches{query}", json=batch(1), headers=headers)
    assert (reply.status_code, reply.headers["Content-Type"]) == (status, "application/problem+json")


def test_one_bad_row_harms_no_stranger(client: httpx.Client, project: str, engine: Engine) -> None:
    """What Postgres alone refuses fails its own POST, even when it shares a transaction with others."""
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE batches ADD CONSTRAINT test CHECK (idempotency_key <> 'poison')"))
    try:

        def post(index: int) -> int:
            key = "poison" if index % 8 == 0 else f"k{index}"
            return client.post(f"{project}/batches", json=batch(1), headers={"Idempotency-Key": key}).status_code

        with ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(post, range(64)))
    finally:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE batches DROP CONSTRAINT test"))
    assert statuses == [500 if index % 8 == 0 else 202 for index in range(64)]
    assert len(stored(engine)) == 56


def test_the_reply_is_what_the_openapi_document_says(client: httpx.Client, project: str) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/projects/{project}/batches"]["post"]
    assert set(operation["requestBody"]["content"]) == {"application/json", "application/x-ndjson"}
    assert set(operation["responses"]) == {
        "200",
        "202",
        "401",
        "403",
        "404",
        "408",
        "409",
        "413",
        "415",
        "422",
        "429",
        "503",
    }
    reply = client.post(f"{project}/batches", json=batch(1))
    schema = document["components"]["schemas"]["Reply"]
    assert set(msgspec.json.decode(reply.content)) == set(schema["properties"])
