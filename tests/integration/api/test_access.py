"""Keys, scopes, and what one tenant can find of another."""

import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from db import keys
from tests.integration.api.callers import Call, batch, make_key
from tests.waiting import until

OPEN = {"/livez", "/readyz", "/metrics"}

SCOPES: dict[tuple[str, str], set[str]] = {
    ("get", "/v1/projects"): {"read"},
    ("post", "/v1/projects"): {"admin"},
    ("get", "/v1/projects/{project}"): {"read"},
    ("patch", "/v1/projects/{project}"): {"admin"},
    ("post", "/v1/projects/{project}/batches"): {"submit"},
    ("get", "/v1/projects/{project}/batches"): {"read"},
    ("get", "/v1/projects/{project}/batches/{batch}"): {"read", "submit"},
    ("delete", "/v1/projects/{project}/batches/{batch}"): {"submit"},
    ("post", "/v1/projects/{project}/batches/{batch}/retry"): {"submit"},
    ("get", "/v1/projects/{project}/batches/{batch}/grades"): {"read"},
    ("get", "/v1/projects/{project}/batches/{batch}/scores"): {"read"},
    ("get", "/v1/projects/{project}/grades"): {"read"},
    ("get", "/v1/projects/{project}/challenges"): {"read"},
    ("get", "/v1/projects/{project}/challenges/{challenge}"): {"read"},
    ("get", "/v1/projects/{project}/challenges/{challenge}/explain"): {"read"},
    ("get", "/v1/projects/{project}/explanations/{challenge}"): {"read"},
    ("get", "/v1/projects/{project}/verdicts"): {"read"},
    ("get", "/v1/projects/{project}/versions/{challenge}"): {"read"},
    ("get", "/v1/projects/{project}/verdicts/{version}/{challenge}"): {"read"},
    ("get", "/v1/projects/{project}/events"): {"read"},
    ("get", "/v1/projects/{project}/respondents"): {"read"},
    ("get", "/v1/projects/{project}/respondents/{respondent}"): {"read"},
    ("post", "/v1/projects/{project}/model-runs"): {"admin"},
    ("get", "/v1/projects/{project}/model-runs"): {"read"},
    ("get", "/v1/projects/{project}/model-runs/{run}"): {"read"},
    ("get", "/v1/projects/{project}/gold"): {"gold"},
    ("get", "/v1/projects/{project}/gold-holders"): {"gold"},
    ("get", "/v1/projects/{project}/groups"): {"gold"},
    ("put", "/v1/projects/{project}/groups/{group}"): {"gold"},
    ("delete", "/v1/projects/{project}/groups/{group}"): {"gold"},
    ("post", "/v1/projects/{project}/gold"): {"gold"},
    ("get", "/v1/projects/{project}/gold/{challenge}"): {"gold"},
    ("put", "/v1/projects/{project}/gold/{challenge}"): {"gold"},
    ("patch", "/v1/projects/{project}/gold/{challenge}"): {"gold"},
    ("delete", "/v1/projects/{project}/gold/{challenge}"): {"gold"},
}
BODIES: dict[tuple[str, str], Any] = {
    ("post", "/v1/projects"): {"name": "other", "classes": ["a", "b"]},
    ("patch", "/v1/projects/{project}"): {"pass_threshold": 0.9},
    ("post", "/v1/projects/{project}/batches"): batch(1),
    ("post", "/v1/projects/{project}/gold"): [{"challenge": "c0", "answer": "a"}],
    ("put", "/v1/projects/{project}/gold/{challenge}"): {"answer": "a"},
    ("put", "/v1/projects/{project}/groups/{group}"): {"respondents": ["r0"]},
    ("patch", "/v1/projects/{project}/gold/{challenge}"): {"state": "retired"},
}


def operations(url: str) -> set[tuple[str, str]]:
    """Every operation of the OpenAPI document that needs a key."""
    document = httpx.get(f"{url}/openapi.json").json()
    return {(method, path) for path, item in document["paths"].items() for method in item if path not in OPEN}


def ask(client: httpx.Client, operation: tuple[str, str], **names: str) -> httpx.Response:
    method, path = operation
    return client.request(method, path.format(**names), json=BODIES.get(operation))


@pytest.fixture
def names(client: httpx.Client, project: str) -> dict[str, str]:
    """What the path parameters are called in the tenant acme."""
    run = client.post(f"{project}/model-runs").json()["id"]
    posted = client.post(f"{project}/batches", json=batch(1)).json()["id"]
    return {
        "project": "cats",
        "batch": posted,
        "run": run,
        "challenge": "c0",
        "version": "1",
        "respondent": "r",
        "group": "g",
    }


def test_every_operation_has_its_scopes_here(url: str) -> None:
    assert operations(url) == set(SCOPES)


def test_nothing_of_another_tenant_is_found(call: Call, url: str, names: dict[str, str], engine: Engine) -> None:
    stranger = call("evil")
    mine = {"challenge": str(uuid.uuid4()), "respondent": str(uuid.uuid4())}
    with engine.begin() as connection:
        before = connection.execute(text("SELECT b.*, p.* FROM batches b JOIN projects p ON true")).all()
    for operation in sorted(operations(url)):
        if "{project}" in operation[1]:
            reply = ask(stranger, operation, **(names | mine))
            assert (operation, reply.status_code) == (operation, 404)
            assert reply.headers["Content-Type"] == "application/problem+json"
    assert stranger.get("/v1/projects").json()["items"] == []
    with engine.begin() as connection:
        assert connection.execute(text("SELECT b.*, p.* FROM batches b JOIN projects p ON true")).all() == before
    # Not even a project of its own by the same name opens the other's batches and runs.
    assert stranger.post("/v1/projects", json={"name": "cats", "classes": ["a", "b"]}).status_code == 201
    for operation in sorted(operations(url)):
        if "{batch}" in operation[1] or "{run}" in operation[1]:
            assert (operation, ask(stranger, operation, **names).status_code) == (operation, 404)


def test_every_operation_wants_one_of_its_scopes(call: Call, url: str, names: dict[str, str]) -> None:
    clients = {scope: call("acme", scope) for scope in ("submit", "read", "admin", "gold")}
    for operation in sorted(operations(url)):
        for scope, client in clients.items():
            refused = ask(client, operation, **names).status_code == 403
            assert (operation, scope, refused) == (operation, scope, scope not in SCOPES[operation])


def test_every_operation_wants_a_key(url: str, names: dict[str, str]) -> None:
    for authorization in ("", "Bearer ts_wrong", "Basic ts_wrong", "Bearer"):
        with httpx.Client(base_url=url, headers={"Authorization": authorization} if authorization else {}) as nobody:
            for operation in sorted(operations(url)):
                reply = ask(nobody, operation, **names)
                assert (operation, reply.status_code) == (operation, 401)
                assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_a_revoked_key_is_refused_within_five_seconds(
    url: str, client: httpx.Client, project: str, engine: Engine
) -> None:
    key_id, secret = make_key(engine, "acme")
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}) as leaked:
        assert leaked.get(project).status_code == 200
        with engine.begin() as connection:
            keys.revoke(connection, key_id)
        until(lambda: leaked.get(project).status_code == 401, "the revoked key is refused", limit=8)
        assert leaked.post(f"{project}/batches", json=batch(1)).status_code == 401
    assert client.get(project).status_code == 200


def test_an_unknown_key_is_let_in_soon_after_it_was_made(url: str, engine: Engine) -> None:
    _, secret = make_key(engine, "acme")
    with engine.begin() as connection:
        (row,) = connection.execute(text("DELETE FROM api_keys RETURNING tenant_id, name, prefix, digest, scopes"))
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}) as early:
        assert early.get("/v1/projects").status_code == 401
        with engine.begin() as connection:
            connection.execute(
                text("INSERT INTO api_keys (tenant_id, name, prefix, digest, scopes) VALUES (:t, :n, :p, :d, :s)"),
                {"t": row.tenant_id, "n": row.name, "p": row.prefix, "d": row.digest, "s": row.scopes},
            )
        until(lambda: early.get("/v1/projects").status_code == 200, "the new key is known")
