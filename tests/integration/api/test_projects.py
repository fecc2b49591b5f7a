"""Projects: made, listed, changed."""

from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from db import projects
from tests.integration.api.callers import Call, batch


def test_a_project_is_made_with_defaults(client: httpx.Client) -> None:
    made = client.post("/v1/projects", json={"name": "cats", "classes": ["b", "a"]})
    assert (made.status_code, made.headers["Location"]) == (201, "/v1/projects/cats")
    project = made.json()
    assert {key: value for key, value in project.items() if not key.endswith("_at")} == {
        "name": "cats",
        "kind": "choice",
        "classes": ["b", "a"],
        "classes_open": False,
        "max_classes": 2,
        "options_shared": True,
        "model": "touchstone",
        "repeats": "first",
        "pass_threshold": 0.7,
        "fail_threshold": 0.3,
        "target_error": 0.05,
        "min_answers": 2,
        "max_answers": 20,
        "cost_matrix": None,
        "answer_cost": 0.0,
        "report_step": 0.05,
        "score_answers": 20,
        "bad_gold_odds": 1.0,
        "leaked_gold_odds": 1.0,
        "model_run": None,
    }
    assert client.get("/v1/projects/cats").json() == project


@pytest.mark.parametrize(
    ("creation", "form"),
    [
        ({"classes": ["a", "b"]}, "full"),
        ({"classes": [str(code) for code in range(17)]}, "coin"),
        ({"classes": ["a", "b"], "options_shared": False}, "coin"),
        ({"classes": "open"}, "full"),
        ({"classes": "open", "max_classes": 17}, "coin"),
    ],
)
def test_the_form_follows_from_the_classes(
    client: httpx.Client, engine: Engine, creation: dict[str, Any], form: str
) -> None:
    assert client.post("/v1/projects", json={"name": "p", **creation}).status_code == 201
    with engine.begin() as connection:
        assert connection.execute(text("SELECT form FROM projects")).scalar_one() == form


@pytest.mark.parametrize(
    ("creation", "pointer"),
    [
        ({"name": ".p"}, "/name"),
        ({"name": "p\n"}, "/name"),
        ({"classes": ["a"]}, "/classes"),
        ({"classes": "closed"}, "/classes"),
        ({"classes": ["a", "", "b"]}, "/classes/1"),
        ({"classes": ["a", "b\0"]}, "/classes/1"),
        ({"model": "magic"}, "/model"),
        ({"pass_threshold": 1.5}, "/pass_threshold"),
        ({"pass_threshold": 0.2}, ""),
        ({"classes": ["a", "a"]}, "/classes"),
        ({"colour": "red"}, "/colour"),
        ({"target_error": 0}, "/target_error"),
        ({"min_answers": 5, "max_answers": 4}, ""),
        ({"cost_matrix": {"a": {"a": 0}, "b": {"a": 1, "b": 0}}}, ""),
        ({"cost_matrix": {"a": {"a": 2, "b": 1}, "b": {"a": 1, "b": 0}}}, ""),
    ],
)
def test_what_cannot_be_a_project_is_refused(client: httpx.Client, creation: dict[str, Any], pointer: str) -> None:
    reply = client.post("/v1/projects", json={"name": "p", "classes": ["a", "b"], **creation})
    assert (reply.status_code, reply.headers["Content-Type"]) == (422, "application/problem+json")
    assert [error["pointer"] for error in reply.json()["errors"]] == [pointer]
    assert client.get("/v1/projects").json()["items"] == []


def test_a_name_is_taken_once_in_a_tenant(client: httpx.Client, call: Call, project: str) -> None:
    again = {"name": "cats", "classes": ["x", "y"]}
    assert client.post("/v1/projects", json=again).status_code == 409
    assert call("other").post("/v1/projects", json=again).status_code == 201
    assert client.get(project).json()["classes"] == ["a", "b"]


def test_projects_are_listed_page_by_page(client: httpx.Client) -> None:
    for name in ("c", "a", "B", "d"):
        client.post("/v1/projects", json={"name": name, "classes": ["a", "b"]})
    first = client.get("/v1/projects?limit=3").json()
    second = client.get("/v1/projects", params={"limit": 3, "after": first["next"]}).json()
    assert [item["name"] for item in first["items"] + second["items"]] == ["B", "a", "c", "d"]
    assert second["next"] is None


def test_a_change_changes_what_it_names(client: httpx.Client, project: str) -> None:
    changed = client.patch(project, json={"pass_threshold": 0.9, "model": "one-coin", "repeats": "all"})
    assert changed.status_code == 200
    expected = {"pass_threshold": 0.9, "fail_threshold": 0.3, "model": "one-coin", "repeats": "all"}
    assert {key: changed.json()[key] for key in expected} == expected
    assert client.get(project).json() == changed.json()
    assert client.patch(project, json={"fail_threshold": 0.95}).status_code == 422
    assert client.patch(project, json={"name": "dogs"}).status_code == 422
    assert client.get(project).json() == changed.json()


def test_repeats_are_fixed_by_the_first_batch(client: httpx.Client, project: str) -> None:
    assert client.post(f"{project}/batches", json=batch(1)).status_code == 202
    assert client.patch(project, json={"repeats": "last"}).status_code == 409
    assert client.patch(project, json={"repeats": "first", "fail_threshold": 0.1}).status_code == 200


def test_batches_are_taken_in_while_a_project_is_changed(client: httpx.Client, project: str, engine: Engine) -> None:
    with engine.begin() as connection:
        tenant = connection.execute(text("SELECT tenant_id FROM projects")).scalar_one()
        projects.change(connection, tenant, "cats", {"pass_threshold": 0.9})
        assert client.post(f"{project}/batches", json=batch(1)).status_code == 202


def test_the_rules_of_verdicts_can_change(client: httpx.Client, project: str, engine: Engine) -> None:
    costs = {"a": {"a": 0, "b": 1}, "b": {"a": 5, "b": 0}}
    changed = client.patch(project, json={"target_error": 0.01, "max_answers": 9, "cost_matrix": costs})
    assert changed.status_code == 200
    assert {name: changed.json()[name] for name in ("target_error", "max_answers", "cost_matrix")} == {
        "target_error": 0.01,
        "max_answers": 9,
        "cost_matrix": costs,
    }
    assert client.patch(project, json={"cost_matrix": {}}).json()["cost_matrix"] is None
    refused = client.patch(project, json={"min_answers": 10})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/min_answers")


def test_each_configuration_is_noted_once(client: httpx.Client, project: str, engine: Engine) -> None:
    for error in (0.01, 0.05, 0.01):
        assert client.patch(project, json={"target_error": error}).status_code == 200
    with engine.begin() as connection:
        contents = connection.execute(text("SELECT content FROM configurations ORDER BY id")).scalars().all()
        current = connection.execute(text("SELECT configuration_id FROM projects")).scalar_one()
    assert [content["target_error"] for content in contents] == [0.05, 0.01]
    assert current is not None
