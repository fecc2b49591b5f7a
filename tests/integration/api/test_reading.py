"""What was found out: verdicts, respondents, model runs."""

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pyarrow import parquet
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, scoped_session

from db import runs
from db.models import Batch, Project
from tests.factories.answer import SheetFactory
from tests.factories.batch import BatchFactory, FailureFactory
from tests.factories.challenge import ChallengeFactory, ConsensusFactory
from tests.factories.respondent import RespondentFactory, RespondentStatisticsFactory
from tests.factories.run import ModelRunFactory
from tests.integration.api.callers import Call
from tests.waiting import until

Rows = scoped_session[Session]

PARQUET = {"Accept": "application/vnd.apache.parquet"}
COLUMNS = [
    "challenge",
    "answer",
    "confidence",
    "status",
    "version",
    "answers",
    "skips",
    "final",
    "model_run",
    "updated_at",
    "p:a",
    "p:b",
]


def flat(item: dict[str, Any]) -> dict[str, Any]:
    """A verdict as a file has it."""
    fields = {name: value for name, value in item.items() if name not in {"posterior", "updated_at"}}
    shares = {f"p:{name}": share for name, share in item["posterior"].items()}
    return fields | shares | {"updated_at": datetime.fromisoformat(item["updated_at"])}


def only_project(session: Rows) -> Project:
    return session.query(Project).one()


def test_a_challenge_shows_its_consensus(client: httpx.Client, project: str, session: Rows) -> None:
    row = only_project(session)
    run = ModelRunFactory.create(project=row, state="done")
    challenge = ChallengeFactory.create(project=row, key="img/17 ü?.png")
    ConsensusFactory.create(challenge=challenge, final=True, model_run_id=run.id)
    ConsensusFactory.create(challenge=ChallengeFactory.create(project=row, key="unanswered"), answers=0, posterior=[])
    session.commit()
    shown = client.get(f"{project}/challenges/img%2F17%20%C3%BC%3F.png")
    assert shown.status_code == 200, shown.text
    assert shown.json() | {"updated_at": ""} == {
        "challenge": "img/17 ü?.png",
        "answer": "a",
        "confidence": 0.75,
        "status": "open",
        "version": 0,
        "posterior": {"a": 0.75, "b": 0.25},
        "answers": 1,
        "skips": 0,
        "final": True,
        "model_run": str(run.uid),
        "updated_at": "",
    }
    for key in ("unanswered", "none", "%00"):
        assert client.get(f"{project}/challenges/{key}").status_code == 404


def test_verdicts_come_in_pages_and_whole(client: httpx.Client, project: str, session: Rows) -> None:
    row = only_project(session)
    keys = ["Z", "a", 'b,"\n', "ä", "😀"]  # in the order of their bytes
    for key in reversed(keys):
        ConsensusFactory.create(challenge=ChallengeFactory.create(project=row, key=key))
    session.commit()
    items, cursor = [], None
    while True:
        page = client.get(f"{project}/verdicts", params={"limit": 2, **({"after": cursor} if cursor else {})}).json()
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert [item["challenge"] for item in items] == keys

    ndjson = client.get(f"{project}/verdicts", headers={"Accept": "application/x-ndjson"})
    assert [json.loads(line) for line in ndjson.text.split("\n")[:-1]] == items

    exported = client.get(f"{project}/verdicts", headers={"Accept": "text/csv"})
    assert exported.headers["Content-Type"].startswith("text/csv")
    header, *rows = csv.reader(io.StringIO(exported.text, newline=""))
    assert header == COLUMNS
    fields = ["a", "0.75", "open", "0", "1", "0", "false", ""]
    assert [[*row[:9], *row[10:]] for row in rows] == [[key, *fields, "0.75", "0.25"] for key in keys]
    assert [datetime.fromisoformat(row[9]) for row in rows] == [
        datetime.fromisoformat(item["updated_at"]) for item in items
    ]

    table = parquet.read_table(io.BytesIO(client.get(f"{project}/verdicts", headers=PARQUET).content))
    assert table.column_names == COLUMNS
    assert [flat(item) for item in items] == table.to_pylist()


def fill(engine: Engine, rows: int, width: int = 1) -> None:
    """Verdicts of the only project: n of n has the version n, the longer the key the wider."""
    query = text("""
        WITH made AS (
            INSERT INTO challenges (project_id, key)
            SELECT p.id, repeat('k', :width) || to_char(n, 'FM000000') FROM projects p, generate_series(1, :rows) n
            RETURNING id, project_id, key
        )
        INSERT INTO consensus (challenge_id, project_id, answers, answer, confidence, posterior, version)
        SELECT id, project_id, 1, 0, 0.75, '{0.75, 0.25}', ltrim(key, 'k')::int FROM made
    """)
    with engine.begin() as connection:
        connection.execute(query, {"rows": rows, "width": width})


def test_verdicts_are_filtered(client: httpx.Client, project: str, session: Rows) -> None:
    row = only_project(session)
    made = [
        ("a", {"status": "settled", "confidence": 0.99, "version": 3}),
        ("b", {"status": "ambiguous", "confidence": 0.5, "version": 1, "answer": 1}),
        ("c", {"status": "open", "confidence": 0.75, "version": 2, "updated_at": "2020-02-02T00:00:00Z"}),
        ("d", {"status": "unanswerable", "confidence": 0.5, "version": 1, "answers": 0, "skips": 9, "answer": None}),
    ]
    for key, fields in made:
        ConsensusFactory.create(challenge=ChallengeFactory.create(project=row, key=key), **fields)
    session.commit()
    expected = {
        "status=settled": "a",
        "status=settled&status=ambiguous": "ab",
        "answer=b": "b",
        "min_confidence=0.75": "ac",
        "max_confidence=0.75": "bcd",
        "min_confidence=0.6&max_confidence=0.8": "c",
        "updated_before=2020-02-03": "c",
        "updated_after=2020-02-02T00:00:00": "abcd".replace("c", ""),
        "updated_after=2020-02-02T00:00:00%2B01:00": "abcd",
        "min_version=2": "ac",
        "status=open&min_version=3": "",
        "max_answers=0": "d",
        "min_answers=1&max_answers=1": "abc",
    }
    for query, keys in expected.items():
        page = client.get(f"{project}/verdicts?{query}").json()
        assert (query, [item["challenge"] for item in page["items"]], page["next"]) == (query, list(keys), None)
        counted = client.get(f"{project}/challenges?{query}").json()
        assert (query, [item["challenge"] for item in counted["items"]]) == (query, list(keys))
        exported = client.get(f"{project}/verdicts?{query}", headers=PARQUET)
        assert parquet.read_table(io.BytesIO(exported.content))["challenge"].to_pylist() == list(keys)
        assert exported.headers["Touchstone-Rows"] == str(len(keys))


def test_challenges_show_how_far_they_have_come(call: Call, project: str, session: Rows) -> None:
    row = only_project(session)
    for key, fields in (("a", {"status": "settled", "version": 3, "skips": 2}), ("b", {}), ("c", {"answers": 0})):
        ConsensusFactory.create(challenge=ChallengeFactory.create(project=row, key=key), **fields)
    session.commit()
    plain, golden = call("acme", "read"), call("acme", "read", "gold")
    first = plain.get(f"{project}/challenges?limit=1").json()
    (shown,) = first["items"]
    assert shown | {"updated_at": ""} == {
        "challenge": "a",
        "status": "settled",
        "answers": 1,
        "skips": 2,
        "answer": "a",
        "confidence": 0.75,
        "version": 3,
        "updated_at": "",
    }
    second = plain.get(f"{project}/challenges", params={"after": first["next"]}).json()
    assert ([item["challenge"] for item in second["items"]], second["next"]) == (["b"], None)
    for query, keys in (("", "abc"), ("?max_answers=0", "c"), ("?min_answers=1", "ab")):
        listed = golden.get(f"{project}/challenges{query}").json()["items"]
        assert [item["challenge"] for item in listed] == list(keys)
    assert plain.get(f"{project}/challenges?max_answers=0").json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("status=final", "/query/status/0"),
        ("answer=z", "/query/answer"),
        ("min_confidence=2", "/query/min_confidence"),
        ("updated_after=yesterday", "/query/updated_after"),
        ("min_version=-1", "/query/min_version"),
    ],
)
def test_a_filter_that_says_nothing_is_refused(client: httpx.Client, project: str, query: str, pointer: str) -> None:
    for headers in ({}, PARQUET):
        refused = client.get(f"{project}/verdicts?{query}", headers=headers)
        assert refused.status_code == 422
        assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


def test_a_page_looks_through_no_more_than_it_may(client: httpx.Client, project: str, engine: Engine) -> None:
    fill(engine, 25_000)
    items, cursor, pages = [], None, 0
    while cursor or not pages:
        page = client.get(
            f"{project}/verdicts", params={"min_version": 12_345, **({"after": cursor} if cursor else {})}
        )
        items += page.json()["items"]
        cursor = page.json()["next"]
        pages += 1
    assert [item["challenge"] for item in items] == [f"k{n:06}" for n in range(12_345, 25_001)]
    first = client.get(f"{project}/verdicts?min_version=12345").json()
    assert (first["items"], bool(first["next"])) == ([], True)


def test_a_stream_of_nothing_is_a_header(client: httpx.Client, project: str) -> None:
    exported = client.get(f"{project}/verdicts", headers={"Accept": "text/csv"})
    assert exported.text.splitlines() == [",".join(COLUMNS)]
    assert exported.headers["Touchstone-Rows"] == "0"
    nothing = parquet.read_table(io.BytesIO(client.get(f"{project}/verdicts", headers=PARQUET).content))
    assert (nothing.num_rows, nothing.column_names) == (0, COLUMNS)
    assert client.get("/v1/projects/none/verdicts", headers={"Accept": "text/csv"}).status_code == 404


def test_a_stream_that_is_left_gives_its_connection_back(
    client: httpx.Client, project: str, session: Rows, engine: Engine
) -> None:
    fill(engine, 8000, width=2000)
    busy = text(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'touchstone-export' AND state <> 'idle'"
    )

    def working() -> int:
        with engine.begin() as connection:
            return int(connection.execute(busy).scalar_one())

    for _ in range(3):  # more than there are connections for exports
        with client.stream("GET", f"{project}/verdicts", headers={"Accept": "text/csv"}) as stream:
            assert next(stream.iter_bytes(100)).startswith(b"challenge,")
            assert working() >= 1
    until(lambda: working() == 0, "no export holds a connection")
    whole = client.get(f"{project}/verdicts", headers={"Accept": "text/csv"})
    assert whole.text.count("\n") == 8_001


def test_exports_do_not_take_the_connections_of_others(client: httpx.Client, project: str) -> None:
    def export(_: int) -> int:
        return client.get(f"{project}/verdicts", headers={"Accept": "text/csv"}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(export, range(40))) == {200}


def test_respondents_show_what_is_believed_of_them(client: httpx.Client, project: str, session: Rows) -> None:
    row = only_project(session)
    for key in ("bob", "ada"):
        RespondentStatisticsFactory.create(
            respondent=RespondentFactory.create(project=row, key=key), counts=[3.0, 1.0, 0.0, 0.0]
        )
    RespondentStatisticsFactory.create(respondent=RespondentFactory.create(project=row, key="new"), answers=0)
    session.commit()
    first = client.get(f"{project}/respondents?limit=1").json()
    second = client.get(f"{project}/respondents", params={"after": first["next"]}).json()
    assert first["items"] + second["items"] == [
        {"respondent": key, "answers": 1, "skips": 0, "accuracy": 0.75, "interval": [0.5, 0.9]}
        for key in ("ada", "bob")
    ]
    assert client.get(f"{project}/respondents/ada").json() == {
        "respondent": "ada",
        "answers": 1,
        "skips": 0,
        "accuracy": 0.75,
        "interval": [0.5, 0.9],
        "confusion": {"a": {"a": 0.75, "b": 0.25}, "b": None},
    }
    assert client.get(f"{project}/respondents/new").status_code == 404


def rank(session: Rows, *people: tuple[str, int, float]) -> None:
    """Respondents of the only project, each with so many answers and such an accuracy."""
    row = only_project(session)
    for key, answers, accuracy in people:
        RespondentStatisticsFactory.create(
            respondent=RespondentFactory.create(project=row, key=key), answers=answers, accuracy=accuracy
        )
    session.commit()


def listed(client: httpx.Client, path: str, limit: int, **parameters: Any) -> list[str]:
    """The keys of a whole list, page after page."""
    keys: list[str] = []
    cursor = None
    while True:
        place: dict[str, Any] = {"after": cursor} if cursor else {}
        page = client.get(path, params=parameters | {"limit": limit} | place).raise_for_status().json()
        keys += [item["respondent"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return keys


PEOPLE = [("a", 30, 0.5), ("b", 40, 0.9), ("c", 30, 0.9), ("d", 50, 0.9), ("e", 5, 0.9), ("f", 30, 0.1)]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_respondents_are_ranked_and_equals_are_neither_lost_nor_doubled(
    client: httpx.Client, project: str, session: Rows, limit: int
) -> None:
    rank(session, *PEOPLE)
    path = f"{project}/respondents"
    assert listed(client, path, limit, order="accuracy", min_answers=20) == list("fabcd")
    assert listed(client, path, limit, order="-accuracy", min_answers=20) == list("dcbaf")
    assert listed(client, path, limit, order="answers") == list("eacfbd")
    assert listed(client, path, limit, order="-answers") == list("dbfcae")
    assert listed(client, path, limit, min_answers=30, max_answers=40) == list("abcf")
    assert listed(client, path, limit, min_accuracy=0.5, max_accuracy=0.6) == ["a"]


def test_what_is_not_told_of_respondents_does_not_show_in_filters_orders_and_files(
    call: Call, project: str, session: Rows
) -> None:
    rank(session, *PEOPLE)
    path = f"{project}/respondents"
    plain, golden = call("acme", "read"), call("acme", "read", "gold")
    assert listed(plain, path, 2) == list("abcdef")
    for query in ({"order": "accuracy"}, {"order": "-accuracy"}, {"min_accuracy": 0}, {"max_accuracy": 1}):
        assert "e" not in listed(plain, path, 2, **query)
        assert "e" in listed(golden, path, 2, **query)
    told, concealed = (
        {
            row["respondent"]: row
            for row in parquet.read_table(io.BytesIO(who.get(path, headers=PARQUET).content)).to_pylist()
        }
        for who in (golden, plain)
    )
    score = {"accuracy": 0.9, "low": 0.5, "high": 0.9}
    assert told["e"] == {"respondent": "e", "answers": 5, "skips": 0, **score}
    assert concealed.pop("e") == told.pop("e") | dict.fromkeys(score)
    assert concealed == told
    ndjson = plain.get(path, params={"order": "-answers"}, headers={"Accept": "application/x-ndjson"})
    pages = plain.get(path, params={"order": "-answers"}).json()["items"]
    assert [json.loads(line) for line in ndjson.text.splitlines()] == pages


def test_respondents_of_a_coin_have_no_confusion(client: httpx.Client, session: Rows) -> None:
    made = client.post("/v1/projects", json={"name": "p", "classes": ["a", "b"], "options_shared": False})
    RespondentStatisticsFactory.create(
        respondent=RespondentFactory.create(project=only_project(session), key="ada"), counts=[0.75, 1.0, 0.0]
    )
    session.commit()
    assert client.get(f"{made.headers['Location']}/respondents/ada").json()["confusion"] is None


def graded_answers(session: Rows) -> tuple[Batch, Batch]:
    """Two batches: a right answer, a skip and a dead answer; then a wrong one that is superseded."""
    row = only_project(session)
    early = BatchFactory.create(project=row, state="graded", answers=3, accepted_at=datetime(2020, 2, 2, tzinfo=UTC))
    late = BatchFactory.create(project=row, state="graded")
    challenge, ada = ChallengeFactory.create(project=row, key="c"), RespondentFactory.create(project=row, key="ada")
    ConsensusFactory.create(challenge=challenge)
    whose = {"challenge": challenge, "respondent": ada, "accepted_at": datetime(2020, 2, 2, tzinfo=UTC)}
    SheetFactory.create(batch=early, position=0, grade=0.5, session="s", **whose)
    SheetFactory.create(batch=early, position=2, grade=None, choice=-1, **whose)
    FailureFactory.create(batch=early, position=1)
    SheetFactory.create(batch=late, position=0, grade=0.1, choice=1, is_counted=False, **whose)
    session.commit()
    return early, late


def test_grades_of_a_project_come_in_pages_and_whole(client: httpx.Client, project: str, session: Rows) -> None:
    early, late = graded_answers(session)
    path = f"{project}/grades"
    for limit in (1, 3, 4):
        items: list[dict[str, Any]] = []
        cursor = None
        while cursor or not items:
            page = client.get(path, params={"limit": limit} | ({"after": cursor} if cursor else {})).json()
            items, cursor = items + page["items"], page["next"]
        assert [(item["batch"], item["position"]) for item in items] == [
            *((str(early.uid), position) for position in range(3)),
            (str(late.uid), 0),
        ]
    given, dead, skipped, superseded = items
    assert given == {
        "batch": str(early.uid),
        "position": 0,
        "challenge": "c",
        "respondent": "ada",
        "session": "s",
        "answered_at": "2020-02-02T00:00:00Z",
        "answer": "a",
        "skip": False,
        "state": "graded",
        "grade": 0.5,
        "outcome": "undecided",
        "current_grade": 0.75,
        "current_outcome": "pass",
        "reason": None,
    }
    assert (dead["state"], dead["reason"], dead["grade"]) == ("dead", "grading it failed", None)
    assert (skipped["skip"], skipped["answer"], skipped["current_grade"]) == (True, None, None)
    assert (superseded["state"], superseded["outcome"], superseded["current_grade"]) == ("superseded", "fail", 0.25)

    ndjson = client.get(path, headers={"Accept": "application/x-ndjson"})
    assert [json.loads(line) for line in ndjson.text.splitlines()] == items
    assert ndjson.headers["Touchstone-Rows"] == "4"
    rows = list(csv.DictReader(io.StringIO(client.get(path, headers={"Accept": "text/csv"}).text)))
    assert rows[1] | {"batch": ""} == dict.fromkeys(rows[1], "") | {
        "position": "1",
        "skip": "false",
        "state": "dead",
        "reason": "grading it failed",
    }
    table = parquet.read_table(io.BytesIO(client.get(path, headers=PARQUET).content)).to_pylist()
    moment = {"answered_at": datetime(2020, 2, 2, tzinfo=UTC)}
    assert table == [item | (moment if item["answered_at"] else {}) for item in items]


def test_grades_are_filtered_by_when_they_were_accepted(client: httpx.Client, project: str, session: Rows) -> None:
    early, late = graded_answers(session)
    for query, batches in (
        ("accepted_after=2020-02-02", {late}),
        ("accepted_before=2020-02-03", {early}),
        ("accepted_after=2020-02-01", {early, late}),
        ("accepted_after=2020-02-03&accepted_before=2020-02-04", set()),
    ):
        ids = {str(batch.uid) for batch in batches}
        page = client.get(f"{project}/grades?{query}").json()["items"]
        file = client.get(f"{project}/grades?{query}", headers=PARQUET)
        assert {item["batch"] for item in page} == ids
        assert set(parquet.read_table(io.BytesIO(file.content))["batch"].to_pylist()) == ids
        assert file.headers["Touchstone-Rows"] == str(len(page))


def test_a_model_run_is_asked_for_once(client: httpx.Client, project: str) -> None:
    first, second = client.post(f"{project}/model-runs"), client.post(f"{project}/model-runs")
    assert (first.status_code, first.json()["state"], first.json()["cause"]) == (202, "waiting", "requested")
    assert second.json() == first.json()
    assert client.get(first.headers["Location"]).json() == first.json()
    assert client.get(f"{project}/model-runs").json() == {"items": [first.json()], "next": None}


@pytest.mark.parametrize("cause", ["requested", "growth", "age", "gold"])
def test_a_model_run_is_shown_whatever_it_was_asked_for(
    client: httpx.Client, engine: Engine, project: str, cause: str
) -> None:
    with engine.begin() as connection:
        project_id = connection.execute(text("SELECT id FROM projects")).scalar_one()
        uid = runs.request(connection, project_id, cause)
    (shown,) = client.get(f"{project}/model-runs").json()["items"]
    assert (shown["id"], shown["state"], shown["cause"]) == (str(uid), "waiting", cause)
    asked = client.post(f"{project}/model-runs")
    assert (asked.status_code, asked.json()) == (202, shown | {"cause": "requested"})
    assert client.get(f"{project}/model-runs").json()["items"] == [asked.json()]
