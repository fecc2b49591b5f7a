"""What every exchange has, whatever was asked."""

import httpx
import pytest
from sqlalchemy import Engine, text

from config.settings import Settings
from tests.integration.api.callers import batch
from tests.integration.api.service import serve


def test_a_request_id_is_given_back_or_made(client: httpx.Client, project: str) -> None:
    assert client.get(project, headers={"X-Request-ID": "mine-1"}).headers["X-Request-ID"] == "mine-1"
    made = client.get(project, headers={"X-Request-ID": "not mine"}).headers["X-Request-ID"]
    assert len(made) == 32
    assert client.post(f"{project}/batches", json=batch(1)).headers["X-Request-ID"] != made


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/none", 404),
        ("GET", "/v1/projects/none", 404),
        ("PUT", "/v1/projects", 405),
        ("GET", "/v1/projects/cats/batches/1", 422),
        ("GET", "/v1/projects?limit=x", 422),
        ("POST", "/v1/projects", 422),
    ],
)
def test_every_error_is_a_problem_document(
    client: httpx.Client, project: str, method: str, path: str, status: int
) -> None:
    reply = client.request(method, path, content="{", headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.headers["Content-Type"]) == (status, "application/problem+json")
    document = reply.json()
    assert {"type", "title", "status", "detail"} <= set(document)
    assert document["status"] == status


def test_a_fault_of_ours_tells_no_secrets(
    client: httpx.Client, project: str, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE project_classes RENAME TO elsewhere"))
    try:
        reply = client.get(project, headers={"X-Request-ID": "broken-1"})
    finally:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO project_classes"))
    assert (reply.status_code, reply.headers["Content-Type"]) == (500, "application/problem+json")
    assert reply.headers["X-Request-ID"] == "broken-1"
    assert "project_classes" not in reply.text
    (record,) = (record for record in caplog.records if record.name == "api.exchange")
    assert isinstance(record.msg, dict)
    assert record.msg["request"] == "broken-1"
    assert "project_classes" in caplog.text


def test_replies_have_safe_headers(client: httpx.Client, project: str) -> None:
    headers = client.get(project).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_the_docs_need_nothing_from_elsewhere(url: str) -> None:
    page = httpx.get(f"{url}/docs").text
    assert "http" not in page.replace("<!doctype html>", "")
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert f"docs/assets/{asset}" in page
        assert httpx.get(f"{url}/docs/assets/{asset}").status_code == 200
    document = httpx.get(f"{url}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    missing = [reference for reference in references(document) if not resolves(document, reference)]
    assert missing == []


def test_metrics_count_requests_and_read_the_ledger(client: httpx.Client, project: str) -> None:
    assert client.post(f"{project}/batches", json=batch(3)).status_code == 202
    client.get("/none")
    text = client.get("/metrics").text
    posted = 'touchstone_http_requests_total{method="POST",route="/v1/projects/{project}/batches",status="202"}'
    assert posted in text
    assert 'route="/v1/projects"' in text
    assert 'touchstone_http_requests_total{method="GET",route="none",status="404"}' in text
    assert 'touchstone_batches_waiting{lane="live"} 1.0' in text
    assert 'touchstone_answers{state="accepted"} 3.0' in text
    assert 'touchstone_answers{state="lost"} 0.0' in text


def test_two_applications_live_in_one_process(settings: Settings) -> None:
    with serve(settings) as first, serve(settings) as second:
        assert first != second
        assert [httpx.get(f"{url}/readyz").status_code for url in (first, second)] == [200, 200]


def references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(value) for value in node))
    return set()


def resolves(document: object, reference: str) -> bool:
    for step in reference.removeprefix("#/").split("/"):
        if not isinstance(document, dict) or step not in document:
            return False
        document = document[step]
    return True
