"""Gold over HTTP."""

import gzip
import json
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, scoped_session

from api.body import inflate
from config.settings import Settings
from db import gold
from db.models import Challenge, Consensus, Project
from tests.factories.gold import GoldHolderFactory
from tests.factories.respondent import RespondentFactory, RespondentStatisticsFactory
from tests.integration.api.callers import Call

Rows = scoped_session[Session]


@pytest.fixture
def gilder(call: Call, project: str) -> httpx.Client:
    """A key for gold alone."""
    return call("acme", "gold")


def items(client: httpx.Client, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """Page after page."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        given = {**parameters, **({"after": cursor} if cursor else {})}
        page = client.get(path, params=given).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


def listed(client: httpx.Client, project: str, **parameters: Any) -> list[str]:
    return [item["challenge"] for item in items(client, f"{project}/gold", **parameters)]


def test_gold_is_put_listed_and_shown(gilder: httpx.Client, project: str) -> None:
    rows = [{"challenge": f"img/{number}", "answer": "ab"[number % 2]} for number in range(5)]
    put = gilder.post(f"{project}/gold", json=rows)
    assert (put.status_code, put.json()) == (200, {"added": 5, "changed": 0, "unchanged": 0})
    assert gilder.post(f"{project}/gold", json=rows).json()["unchanged"] == 5
    assert sorted(listed(gilder, project, limit=2)) == [f"img/{number}" for number in range(5)]

    shown = gilder.get(f"{project}/gold/img%2F1").json()
    assert shown == gilder.get(f"{project}/gold/img/1").json()
    assert shown | {"added_at": "", "changed_at": ""} == {
        "challenge": "img/1",
        "answer": "b",
        "state": "active",
        "applied": False,
        "consensus": None,
        "confidence": None,
        "answers": 0,
        "flags": [],
        "bad_odds": None,
        "leaked_odds": None,
        "note": None,
        "added_at": "",
        "changed_at": "",
    }


def test_ndjson_and_gzip(gilder: httpx.Client, project: str) -> None:
    lines = b'{"challenge":"a","answer":"a"}\n\n{"challenge":"b","answer":"b","note":"by hand"}\n'
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    assert gilder.post(f"{project}/gold", content=gzip.compress(lines), headers=headers).json()["added"] == 2
    assert gilder.get(f"{project}/gold/b").json()["note"] == "by hand"
    assert gilder.post(f"{project}/gold", content=lines, headers={"Content-Type": "text/csv"}).status_code == 415


def test_every_wrong_row_is_named_and_nothing_is_stored(gilder: httpx.Client, project: str) -> None:
    rows = [
        {"challenge": "good", "answer": "a"},
        {"challenge": "", "answer": "a"},
        {"challenge": "c", "reply": "a"},
        {"challenge": "n\0l", "answer": 1},
        "text",
        {"challenge": "good", "answer": "b"},
        {"challenge": "s\ud800", "answer": "a"},
    ]
    refused = gilder.post(f"{project}/gold", content=json.dumps(rows), headers={"Content-Type": "application/json"})
    assert refused.status_code == 422
    pointers = {error["pointer"] for error in refused.json()["errors"]}
    assert pointers == {
        "/1/challenge",
        "/2/answer",
        "/2/reply",
        "/3/challenge",
        "/3/answer",
        "/4",
        "/5/answer",
        "/6/challenge",
    }
    assert listed(gilder, project) == []


@pytest.mark.parametrize("body", [b"{}", b"[]", b"", b"[1", b"[" * 100_000])
def test_what_is_no_list_is_refused(gilder: httpx.Client, project: str, body: bytes) -> None:
    refused = gilder.post(f"{project}/gold", content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 422, refused.text


def test_an_unknown_class_is_named(gilder: httpx.Client, project: str) -> None:
    rows = [{"challenge": "c", "answer": "a"}, {"challenge": "d", "answer": "ü"}]
    refused = gilder.post(f"{project}/gold", json=rows)
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"pointer": "/1/answer", "detail": '"ü" is not one of a, b'}]
    lines = b'{"challenge":"c","answer":"a"}\n{"challenge"\n'
    refused = gilder.post(f"{project}/gold", content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert refused.json()["errors"] == [{"pointer": "/1", "detail": "is not JSON"}]
    assert listed(gilder, project) == []


def test_an_open_project_learns_classes_from_gold(call: Call) -> None:
    client = call()
    made = client.post("/v1/projects", json={"name": "open", "classes": "open", "max_classes": 2})
    path = made.headers["Location"]
    rows = [{"challenge": "c", "answer": "x"}, {"challenge": "d", "answer": "y"}]
    assert client.post(f"{path}/gold", json=rows).json()["added"] == 2
    assert client.get(path).json()["classes"] == ["x", "y"]
    refused = client.post(f"{path}/gold", json=[{"challenge": "e", "answer": "z"}])
    assert refused.status_code == 422
    assert client.get(path).json()["classes"] == ["x", "y"]


def test_one_is_put_disputed_reinstated_and_retired(gilder: httpx.Client, project: str) -> None:
    path = f"{project}/gold/img%2F1"
    assert gilder.get(path).status_code == 404
    assert gilder.put(path, json={"answer": "a"}).json()["answer"] == "a"
    assert gilder.put(path, json={"answer": "b"}).json()["answer"] == "b"
    assert gilder.put(path, json={"answer": "z"}).json()["errors"][0]["pointer"] == "/answer"
    assert gilder.put(f"{project}/gold/{'x' * 257}", json={"answer": "a"}).status_code == 422

    disputed = gilder.patch(path, json={"state": "disputed", "note": "blurred"}).json()
    assert (disputed["state"], disputed["note"]) == ("disputed", "blurred")
    assert listed(gilder, project, state="disputed") == ["img/1"]
    assert gilder.patch(path, json={"state": "active"}).json()["state"] == "active"
    assert gilder.delete(path).json()["state"] == "retired"
    assert gilder.patch(path, json={"state": "disputed"}).status_code == 409
    assert gilder.delete(f"{project}/gold/none").status_code == 404
    assert gilder.patch(path, json={"state": "lost"}).status_code == 422
    for odd in ("a%00b", "%00"):
        assert gilder.get(f"{project}/gold/{odd}").status_code == 404


def test_flags_follow_the_thresholds_of_the_project(
    gilder: httpx.Client, client: httpx.Client, project: str, session: Rows, engine: Engine
) -> None:
    rows = [{"challenge": name, "answer": "a"} for name in ("bad", "leaked", "good")]
    gilder.post(f"{project}/gold", json=rows)
    ids = {challenge.key: challenge.id for challenge in session.query(Challenge)}
    with engine.begin() as connection:
        gold.flag(connection, [ids["bad"], ids["leaked"], ids["good"]], [20.0, 0.5, 0.5], [0.5, 100.0, 0.5])

    def flagged() -> dict[str, list[str]]:
        return {item["challenge"]: item["flags"] for item in gilder.get(f"{project}/gold").json()["items"]}

    assert flagged() == {"bad": ["bad"], "leaked": ["leaked"], "good": []}
    assert sorted(listed(gilder, project, flagged="true")) == ["bad", "leaked"]
    assert listed(gilder, project, flagged="false") == ["good"]
    client.patch(project, json={"bad_gold_odds": 50, "leaked_gold_odds": 50})
    assert flagged() == {"bad": [], "leaked": ["leaked"], "good": []}
    client.patch(project, json={"bad_gold_odds": 0.1})
    assert flagged() == {"bad": ["bad"], "leaked": ["bad", "leaked"], "good": ["bad"]}


def test_unanswered_gold_is_no_challenge_to_a_reader(
    gilder: httpx.Client, call: Call, project: str, session: Rows
) -> None:
    gilder.post(f"{project}/gold", json=[{"challenge": "c", "answer": "b"}])
    reader = call("acme", "read", "submit", "admin")
    assert reader.get(f"{project}/challenges/c").status_code == 404
    assert reader.get(f"{project}/verdicts").json()["items"] == []


def test_scores_of_few_answers_are_told_to_holders_of_gold_alone(
    client: httpx.Client, call: Call, project: str, session: Rows
) -> None:
    row = session.query(Project).one()
    for key, answers in (("few", 19), ("many", 20)):
        respondent = RespondentFactory.create(project=row, key=key)
        RespondentStatisticsFactory.create(respondent=respondent, answers=answers)
    session.commit()
    reader = call("acme", "read", "submit", "admin")
    nothing = {"accuracy": None, "interval": None}
    few = {"respondent": "few", "answers": 19, "skips": 0, **nothing}
    assert reader.get(f"{project}/respondents/few").json() == {**few, "confusion": None}
    first, second = reader.get(f"{project}/respondents").json()["items"]
    assert first == few
    assert second["accuracy"] == 0.75
    told = reader.get(f"{project}/respondents/many").json()
    assert told["confusion"] is not None
    assert told == client.get(f"{project}/respondents/many").json()
    assert client.get(f"{project}/respondents/few").json()["accuracy"] == 0.75
    client.patch(project, json={"score_answers": 19})
    assert reader.get(f"{project}/respondents/few").json()["interval"] == [0.5, 0.9]


def test_consensus_beside_gold_is_that_of_the_answers(gilder: httpx.Client, project: str, session: Rows) -> None:
    gilder.post(f"{project}/gold", json=[{"challenge": "c", "answer": "b"}])
    session.query(Consensus).update({"answers": 3, "answer": 0, "confidence": 0.9})
    session.commit()
    shown = gilder.get(f"{project}/gold/c").json()
    assert (shown["consensus"], shown["confidence"], shown["answers"], shown["answer"]) == ("a", 0.9, 3, "b")


def test_holders_come_surest_first_from_the_odds_of_the_project_on(
    gilder: httpx.Client, project: str, session: Rows
) -> None:
    owner = session.query(Project).one()
    for number, odds in enumerate((0.5, 3.0, 3.0, 1.0, 40.0)):
        respondent = RespondentFactory(project=owner, key=f"r{number}")
        GoldHolderFactory(respondent=respondent, odds=odds)
    session.commit()
    path = f"{project}/gold-holders"
    found = [(item["respondent"], item["odds"]) for item in items(gilder, path, limit=2)]
    assert found == [("r4", 40.0), ("r2", 3.0), ("r1", 3.0), ("r3", 1.0)]
    assert len(gilder.get(path, params={"odds": 0.1}).json()["items"]) == 5
    assert gilder.get(path, params={"odds": "nan"}).status_code == 422
    assert gilder.get(f"{project}-other/gold-holders").status_code == 404


@pytest.mark.parametrize(
    ("kind", "body", "detail"),
    [
        ("json", b"[5,]", "is not JSON"),
        ("json", b"[5] 5", "is not JSON"),
        ("json", b"{}", "must be an array"),
        ("x-ndjson", b" \n", "has no rows"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(
    gilder: httpx.Client, project: str, kind: str, body: bytes, detail: str
) -> None:
    refused = gilder.post(f"{project}/gold", content=body, headers={"Content-Type": f"application/{kind}"})
    assert refused.json()["errors"] == [{"pointer": "", "detail": detail}]


@pytest.mark.parametrize(
    ("kind", "head", "row", "tail"), [("json", b"[[]", b",[]", b"]"), ("x-ndjson", b"[]", b"\n[]", b"")]
)
def test_rows_beyond_the_limit_are_not_built(
    gilder: httpx.Client, project: str, settings: Settings, kind: str, head: bytes, row: bytes, tail: bytes
) -> None:
    content = head + row * 1_000_000 + tail
    tracemalloc.start()
    try:
        refused = gilder.post(f"{project}/gold", content=content, headers={"Content-Type": f"application/{kind}"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (refused.status_code, refused.json()["detail"]) == (
        413,
        f"The body has more than {settings.max_answers:,} rows.",
    )
    assert peak < 10 * len(content)


def test_no_more_than_two_lists_are_looked_over_at_once(
    gilder: httpx.Client, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking, most = 0, 0

    def slowly(body: bytes, limit: int) -> bytes:
        nonlocal looking, most
        looking += 1
        most = max(most, looking)
        time.sleep(0.1)
        looking -= 1
        return inflate(body, limit)

    monkeypatch.setattr("api.gold_body.inflate", slowly)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    content = gzip.compress(b'[{"challenge":"c","answer":"a"}]')
    with ThreadPoolExecutor(8) as pool:
        replies = [pool.submit(gilder.post, f"{project}/gold", content=content, headers=headers) for _ in range(8)]
    assert {reply.result().status_code for reply in replies} == {200}
    assert most == 2
