"""The change feed over HTTP: in pages, and as a stream."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.orm import scoped_session

from api import feeds
from api.cursors import encode
from config.settings import Settings
from db import history, keys
from db.models import Project, Tenant
from tests.factories.challenge import ChallengeFactory, ConsensusFactory
from tests.factories.project import ProjectFactory
from tests.factories.run import ModelRunFactory
from tests.factories.verdict import BulletinFactory
from tests.integration.api.callers import Call, make_key
from tests.integration.api.service import serve
from tests.versions import make_challenges, write
from tests.waiting import until

Rows = scoped_session[OrmSession]
STREAM = {"Accept": "text/event-stream"}


def project_id(session: Rows) -> int:
    found = session.query(Project).one().id
    session.rollback()
    return int(found)


def publish(engine: Engine, project: int, challenges: list[int]) -> None:
    """Give each of these challenges its next version."""
    with engine.begin() as connection:
        write(connection, project, challenges)


def blocks(stream: httpx.Response) -> Iterator[dict[str, str]]:
    """What a stream sends, block by block; comments under the name of nothing."""
    block: dict[str, str] = {}
    for line in stream.iter_lines():
        if line:
            name, _, value = line.partition(":")
            block[name] = value.removeprefix(" ")
        else:
            yield block
            block = {}


def sent(stream: httpx.Response, count: int) -> list[dict[str, Any]]:
    """The next events of a stream."""
    found: list[dict[str, Any]] = []
    for block in blocks(stream):
        if "data" in block:
            event = json.loads(block["data"])
            assert (block["id"], block["event"]) == (event["cursor"], event["kind"])
            found.append(event)
        if len(found) == count:
            break
    return found


def test_pages_follow_one_another_for_ever(client: httpx.Client, project: str, session: Rows) -> None:
    nothing = client.get(f"{project}/events").json()
    assert nothing == {"items": [], "next": encode(0)}

    row = session.query(Project).one()
    challenge = ChallengeFactory.create(project=row, key="img/1")
    BulletinFactory.create(challenge=challenge)
    BulletinFactory.create(
        challenge=challenge, first=2, version=2, answer=1, confidence=0.9, cause="refit", before=(0, 0.75, "open")
    )
    session.commit()

    page = client.get(f"{project}/events", params={"after": nothing["next"], "limit": 1}).json()
    rest = client.get(f"{project}/events", params={"after": page["next"]}).json()
    end = client.get(f"{project}/events", params={"after": rest["next"]}).json()
    assert end == {"items": [], "next": rest["next"]}
    [created], [corrected] = page["items"], rest["items"]
    assert created | {"at": ""} == {
        "cursor": page["next"],
        "position": 1,
        "kind": "verdict.created",
        "challenge": "img/1",
        "version": 1,
        "at": "",
        "answer": "a",
        "confidence": 0.75,
        "status": "open",
        "cause": "answers",
        "previous": None,
    }
    assert (corrected["kind"], corrected["answer"], corrected["position"]) == ("verdict.corrected", "b", 2)
    assert corrected["previous"] == {"version": 1, "answer": "a", "confidence": 0.75, "status": "open"}
    assert client.get(f"{project}/events?after=x").status_code == 422


def test_a_cursor_whose_events_are_gone_is_told_so(
    client: httpx.Client, project: str, session: Rows, engine: Engine
) -> None:
    found = project_id(session)
    challenges = make_challenges(engine, found, 3)
    path = f"{project}/events"
    for _ in range(2):
        publish(engine, found, challenges)
    cursors = [encode(0), *(event["cursor"] for event in client.get(path).json()["items"])]
    with engine.begin() as connection:
        connection.execute(text("UPDATE bulletins SET created_at = created_at - interval '9 days' WHERE first = 1"))
        assert history.drop(connection, found, 7) == 3

    for cursor in cursors[:3]:
        gone = client.get(path, params={"after": cursor})
        assert (gone.status_code, gone.json()["oldest"]) == (410, cursors[3])
        with client.stream("GET", path, headers=STREAM | {"Last-Event-ID": cursor}) as stream:
            assert stream.status_code == 410
    for cursor in (None, cursors[3]):
        page = client.get(path, params={"after": cursor} if cursor else {}).json()
        assert [(event["position"], event["previous"]["version"]) for event in page["items"]] == [
            (4, 1),
            (5, 1),
            (6, 1),
        ]
    with client.stream("GET", path, headers=STREAM) as stream:
        assert [event["position"] for event in sent(stream, 3)] == [4, 5, 6]


def test_a_stream_goes_on_where_a_page_or_a_stream_has_ended(
    client: httpx.Client, project: str, session: Rows, engine: Engine
) -> None:
    found = project_id(session)
    challenges = make_challenges(engine, found, 3)
    publish(engine, found, challenges)
    with client.stream("GET", f"{project}/events", headers=STREAM) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        begun = sent(stream, 3)
    assert begun == client.get(f"{project}/events").json()["items"]

    publish(engine, found, challenges)
    after = {"after": begun[0]["cursor"]}
    with client.stream("GET", f"{project}/events", headers=STREAM, params=after) as stream:
        assert [event["position"] for event in sent(stream, 5)] == [2, 3, 4, 5, 6]
    last = {"Last-Event-ID": begun[2]["cursor"]}
    with client.stream("GET", f"{project}/events", headers=STREAM | last, params=after) as stream:
        assert [event["position"] for event in sent(stream, 3)] == [4, 5, 6]


def test_a_stream_sends_what_comes(client: httpx.Client, project: str, session: Rows, engine: Engine) -> None:
    found = project_id(session)
    challenges = make_challenges(engine, found, 5)
    with client.stream("GET", f"{project}/events", headers=STREAM) as stream:
        lines = blocks(stream)
        assert next(lines) == {"retry": "1000"}
        for number in range(1, 4):
            publish(engine, found, challenges)
            positions = [json.loads(next(lines)["data"])["position"] for _ in challenges]
            assert positions == list(range(number * 5 - 4, number * 5 + 1))


def test_a_stream_is_refused_as_a_page_is(client: httpx.Client, project: str, call: Call) -> None:
    with client.stream("GET", "/v1/projects/none/events", headers=STREAM) as stream:
        assert stream.status_code == 404
    with client.stream("GET", f"{project}/events", headers=STREAM | {"Last-Event-ID": "17"}) as stream:
        assert stream.status_code == 422
    with call("other").stream("GET", f"{project}/events", headers=STREAM) as stream:
        assert stream.status_code == 404
    assert call("acme", "submit").get(f"{project}/events").status_code == 403


def test_streams_are_counted_and_hold_no_connection(client: httpx.Client, project: str, engine: Engine) -> None:
    query = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'touchstone-api' AND state <> 'idle'")
    bodies = []

    def opened(caller: httpx.Client, stack: ExitStack) -> int:
        stream = stack.enter_context(caller.stream("GET", f"{project}/events", headers=STREAM))
        bodies.append(stream.iter_raw())  # a body that is forgotten is closed
        next(bodies[-1])
        return stream.status_code

    def other() -> httpx.Client:
        return httpx.Client(
            base_url=client.base_url, headers=client.headers, timeout=30, limits=httpx.Limits(max_connections=None)
        )

    with other() as caller, ExitStack() as stack:
        assert {opened(caller, stack) for _ in range(feeds.TENANT_STREAMS)} == {200}
        assert opened(caller, stack) == 503
        with engine.connect() as connection:
            assert connection.execute(query).scalar_one() <= 2
        assert caller.get(project).status_code == 200

    def admitted() -> bool:
        with ExitStack() as stack:
            return opened(client, stack) == 200

    until(admitted, "streams that were left to be forgotten")


def test_a_stream_ends_when_its_key_is_revoked(settings: Settings, engine: Engine, session: Rows) -> None:
    project = ProjectFactory.create()
    tenant = session.query(Tenant).one().name
    session.commit()
    challenges = make_challenges(engine, project.id, 1)
    key, secret = make_key(engine, tenant, ["read"])
    headers = STREAM | {"Authorization": f"Bearer {secret}"}
    with (
        serve(settings.model_copy(update={"key_cache": 0.1})) as url,
        httpx.stream("GET", f"{url}/v1/projects/{project.name}/events", headers=headers, timeout=30) as stream,
    ):
        lines = blocks(stream)
        assert next(lines) == {"retry": "1000"}
        with engine.begin() as connection:
            keys.revoke(connection, key)

        def ended() -> bool:
            publish(engine, project.id, challenges)
            return next(lines, None) is None

        until(ended, "a stream that ends with its key")


def test_versions_stay_readable(client: httpx.Client, call: Call, project: str, session: Rows) -> None:
    row = session.query(Project).one()
    run = ModelRunFactory.create(project=row, state="done")
    challenge = ChallengeFactory.create(project=row, key="img/17 ü?/explain")
    ConsensusFactory.create(challenge=challenge, version=2, positions=[1, 2])
    BulletinFactory.create(challenge=challenge, digest=-1)
    BulletinFactory.create(
        challenge=challenge,
        first=2,
        version=2,
        answer=None,
        status="unanswerable",
        cause="refit",
        model_run_id=run.id,
        skipped=4,
    )
    ConsensusFactory.create(challenge=ChallengeFactory.create(project=row, key="unmet"), answers=0)
    ChallengeFactory.create(project=row, key="new")
    session.commit()
    name = "img/17%20%C3%BC%3F%2Fexplain"
    first = client.get(f"{project}/versions/{name}?limit=1").json()
    second = client.get(f"{project}/versions/{name}", params={"after": first["next"]}).json()
    assert second["next"] is None
    [one], [two] = first["items"], second["items"]
    assert one | {"at": ""} == {
        "version": 1,
        "supersedes": None,
        "at": "",
        "answer": "a",
        "confidence": 0.75,
        "posterior": {"a": 0.75, "b": 0.25},
        "status": "open",
        "cause": "answers",
        "answers": 1,
        "skips": 0,
        "model_run": None,
        "configuration": None,
        "input_digest": "f" * 16,
    }
    assert (two["supersedes"], two["answer"], two["model_run"], two["skips"]) == (1, None, str(run.uid), 4)
    assert client.get(f"{project}/verdicts/2/{name}").json() == two

    plain = call("acme", "read")
    assert plain.get(f"{project}/versions/{name}", params={"after": encode(2)}).json() == {"items": [], "next": None}
    for unanswered in ("new", "unmet"):
        assert client.get(f"{project}/versions/{unanswered}").json() == {"items": [], "next": None}
        hidden, unknown = (plain.get(f"{project}/versions/{key}") for key in (unanswered, "none"))
        assert hidden.status_code == unknown.status_code == 404
        assert hidden.json()["detail"] == unknown.json()["detail"].replace("none", unanswered)
    for path in ("versions/none", "versions/%00", f"verdicts/3/{name}", "verdicts/1/new", "verdicts/1/%00"):
        assert client.get(f"{project}/{path}").status_code == 404, path
    for path in (f"verdicts/0/{name}", f"verdicts/{2**31}/{name}", f"verdicts/x/{name}"):
        assert client.get(f"{project}/{path}").status_code == 422, path
