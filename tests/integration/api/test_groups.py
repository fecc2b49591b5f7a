"""Groups of respondents over HTTP."""

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, scoped_session

from db.models import Project
from tests.factories.gold import GroupFactory
from tests.integration.api.callers import Call
from tests.integration.api.test_gold import items

Rows = scoped_session[Session]


@pytest.fixture
def gilder(call: Call, project: str) -> httpx.Client:
    """A key for gold alone."""
    return call("acme", "gold")


def put(client: httpx.Client, project: str, group: str, *respondents: str) -> httpx.Response:
    return client.put(f"{project}/groups/{group}", json={"respondents": respondents})


def test_a_respondent_is_in_the_group_it_was_put_in_last(gilder: httpx.Client, project: str) -> None:
    assert put(gilder, project, "farm/1", "a", "b", "b").json() == {"group": "farm/1", "respondents": 2, "odds": None}
    put(gilder, project, "farm/2", "b", "c", "d")
    sizes = {item["group"]: item["respondents"] for item in items(gilder, f"{project}/groups", limit=1)}
    assert sizes == {"farm/1": 1, "farm/2": 3}

    gone = gilder.delete(f"{project}/groups/farm/2")
    assert gone.json() == {"group": "farm/2", "respondents": 3, "odds": None}
    assert gilder.delete(f"{project}/groups/farm/2").status_code == 404
    assert [item["group"] for item in items(gilder, f"{project}/groups")] == ["farm/1"]


def test_odds_hold_while_a_group_stays_as_it_is(gilder: httpx.Client, project: str, engine: Engine) -> None:
    put(gilder, project, "one", "a", "b")
    put(gilder, project, "two", "c")
    with engine.begin() as connection:
        connection.execute(text("UPDATE groups SET odds = 7"))
    assert put(gilder, project, "one", "b", "a").json()["odds"] == 7
    assert put(gilder, project, "one", "a", "b", "c").json()["odds"] is None
    assert [item["odds"] for item in items(gilder, f"{project}/groups")] == [None, None]


def test_groups_are_listed_from_odds_on(gilder: httpx.Client, project: str, session: Rows) -> None:
    owner = session.query(Project).one()
    for name, odds in {"a": None, "b": 0.5, "c": 9.0}.items():
        GroupFactory(project=owner, name=name, odds=odds)
    session.commit()
    found = [item["group"] for item in items(gilder, f"{project}/groups", odds=0.5)]
    assert found == ["b", "c"]
    assert gilder.get(f"{project}/groups", params={"odds": "inf"}).status_code == 422
    assert gilder.get(f"{project}-other/groups").status_code == 404


@pytest.mark.parametrize("respondents", [[], ["a", ""], ["a\0"], ["a" * 1000], "a", [1]])
def test_what_cannot_be_a_group_is_refused(gilder: httpx.Client, project: str, respondents: object) -> None:
    refused = gilder.put(f"{project}/groups/g", json={"respondents": respondents})
    assert refused.status_code == 422
    pointers = [fault["pointer"] for fault in refused.json()["errors"]]
    assert pointers
    assert all(pointer.startswith("/respondents") for pointer in pointers)
    assert items(gilder, f"{project}/groups") == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"respondents": ["a"', ""),
        (b'["a"]', ""),
        (b"{}", "/respondents"),
        (b'{"respondents": ["a"], "odds": 5}', "/odds"),
        (b'{"respondents": [' + b'"a",' * 10_000 + b'"a"]}', "/respondents"),
        (b'{"respondents": ["a", ' + b"[" * 100_000 + b"]" * 100_000 + b"]}", ""),
    ],
    ids=["cut short", "a list", "nobody", "another field", "too many", "too large a name"],
)
def test_what_is_wrong_with_the_body_of_a_group_is_said(
    gilder: httpx.Client, project: str, body: bytes, pointer: str
) -> None:
    refused = gilder.put(f"{project}/groups/g", content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 422
    assert [fault["pointer"] for fault in refused.json()["errors"]] == [pointer]


def test_a_group_is_json(gilder: httpx.Client, project: str) -> None:
    lines = {"Content-Type": "application/x-ndjson"}
    assert gilder.put(f"{project}/groups/g", content=b'{"respondents": ["a"]}', headers=lines).status_code == 415
