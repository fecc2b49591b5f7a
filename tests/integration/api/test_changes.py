"""Whoever changes something through the API holds it for a lease at most when the process stops in the middle."""

from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from tests.integration.api.callers import batch
from tests.integration.workers.crowd import execute
from tests.integration.workers.faulty import UNBOUNDED, fault

CHANGES = [
    ("INSERT ON projects", "POST", "/v1/projects", {"name": "dogs", "classes": ["a", "b"]}),
    ("UPDATE ON projects", "PATCH", "{project}", {"pass_threshold": 0.9}),
    ("INSERT ON project_classes", "PUT", "{open}/gold/c0", {"answer": "new"}),
    ("INSERT ON challenges", "PUT", "{project}/gold/new", {"answer": "a"}),
    ("INSERT ON gold", "PUT", "{project}/gold/c0", {"answer": "a"}),
    ("INSERT ON respondents", "PUT", "{project}/groups/g", {"respondents": ["new"]}),
    ("INSERT ON groups", "PUT", "{project}/groups/g", {"respondents": ["r"]}),
    ("INSERT ON model_runs", "POST", "{project}/model-runs", None),
    ("UPDATE ON batches", "DELETE", "{batch}", None),
    ("UPDATE ON batches", "POST", "{dead}/retry", None),
]


@pytest.mark.parametrize(("event", "method", "path", "body"), CHANGES)
def test_whoever_changes_anything_is_bounded(
    client: httpx.Client, project: str, engine: Engine, event: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    open_ = client.post("/v1/projects", json={"name": "open", "classes": "open"}).headers["Location"]
    posts = [client.post(f"{project}/batches", json=batch(2, start=start)) for start in (0, 2)]
    waits, dead = (post.headers["Location"] for post in posts)
    number = dead.rpartition("/")[2]
    execute(engine, "UPDATE batches SET state = 'dead', finished_at = now() WHERE uid = :uid", uid=number)
    with fault(engine, event, UNBOUNDED, times=10_000):
        reply = client.request(method, path.format(project=project, open=open_, batch=waits, dead=dead), json=body)
        assert reply.is_success, reply.text
