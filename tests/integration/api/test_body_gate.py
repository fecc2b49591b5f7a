"""Bodies of whatever is no batch: of whom they are read, for how long, and how large they may be."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import Engine

from api import app, body
from api.body import Inbox
from api.body_gate import PROJECT, SMALL
from config.settings import Settings
from tests.integration.api.callers import make_key
from tests.integration.api.service import serve
from tests.waiting import until

JSON = {"Content-Type": "application/json"}


@contextmanager
def begun(client: httpx.Client, operation: str, content: bytes, *, size: int = SMALL) -> Iterator[Callable[[], int]]:
    """A request whose body has come so far; gives how to read the status of the reply."""
    host, port = client.base_url.host, client.base_url.port
    key = client.headers.get("Authorization", "")
    with socket.create_connection((host, port), timeout=20) as connection:
        head = f"{operation} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nContent-Length: {size}\r\n\r\n"
        connection.sendall(head.encode() + content)
        yield lambda: int(connection.recv(4096).split()[1])


def test_bodies_of_strangers_are_not_read(client: httpx.Client, project: str) -> None:
    for key in ("", "Bearer ts_unknown"):
        with httpx.Client(base_url=client.base_url, headers={"Authorization": key}) as stranger:
            with begun(stranger, f"PATCH {project}", b"{") as status:
                assert status() == 401
            assert stranger.patch(project, content=b" " * (SMALL + 1), headers=JSON).status_code == 401


def test_a_body_that_does_not_come_is_not_waited_for(
    client: httpx.Client, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "ARRIVAL", 0.1)
    for operation in (f"PATCH {project}", f"POST {project}/gold", f"PUT {project}/groups/g"):
        with begun(client, operation, b"{") as status:
            assert status() == 408


def test_all_bodies_of_a_tenant_share_its_room(
    settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "Inbox", lambda: Inbox(2 * SMALL))
    _, secret = make_key(engine, "acme")
    headers = {"Authorization": f"Bearer {secret}"}
    large = b" " * (SMALL // 2)
    with serve(settings) as url, httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        project = client.post("/v1/projects", json={"name": "cats", "classes": ["a", "b"]}).headers["Location"]

        def refused(method: str, path: str) -> bool:
            return client.request(method, path, content=large, headers=JSON).status_code == 503

        with begun(client, f"PATCH {project}", large + b" "):
            until(lambda: refused("PATCH", project), "a room that is taken")
            assert refused("POST", f"{project}/gold")
            assert refused("POST", f"{project}/batches")
            headers = {"Authorization": f"Bearer {make_key(engine, 'other')[1]}"}
            other = httpx.patch(f"{url}{project}", content=large, headers=headers | JSON)
            assert other.status_code == 422  # it is no JSON, but there was room for it
        until(lambda: not refused("PATCH", project), "room of one who has left")


def test_a_body_is_as_large_as_its_route_needs(client: httpx.Client, project: str) -> None:
    gold = f"{project}/gold"
    for method, path, limit in (
        ("PUT", f"{gold}/c", SMALL),
        ("PATCH", f"{gold}/c", SMALL),
        ("POST", f"{project}/model-runs", SMALL),
        ("POST", "/v1/projects", PROJECT),
        ("PATCH", project, PROJECT),
    ):
        declared = client.request(method, path, content=b" " * (limit + 1), headers=JSON)
        chunked = client.request(method, path, content=iter([b" " * limit, b" "]), headers=JSON)
        for reply in (declared, chunked):
            assert (reply.status_code, reply.headers["Content-Type"]) == (413, "application/problem+json"), path
            assert reply.json()["detail"] == f"The body is larger than {limit:,} bytes."
        assert client.request(method, path, content=b" " * limit, headers=JSON).status_code != 413

    rows = [{"challenge": f"c{number}", "answer": "a", "note": "n" * 100} for number in range(1000)]
    assert client.post(gold, json=rows).json()["added"] == 1000
    members = [f"{number:0200}" for number in range(1000)]
    assert client.put(f"{project}/groups/a/b", json={"respondents": members}).json()["respondents"] == 1000


def test_a_project_with_the_longest_classes_fits(client: httpx.Client) -> None:
    classes = [f"{number:0256}" for number in range(1000)]
    made = client.post("/v1/projects", content=json.dumps({"name": "long", "classes": classes}), headers=JSON)
    assert made.status_code == 201
