"""What takes too long gives back its connection, and says so."""

import httpx
import pytest
from sqlalchemy import Engine, text

from api import services
from tests.integration.api.callers import batch

READS = ["challenges", "verdicts", "respondents", "batches", "model-runs", "events", "gold", "groups", "gold-holders"]


@pytest.mark.parametrize("what", READS)
def test_a_read_is_given_up(
    client: httpx.Client, project: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    client.post(f"{project}/batches", json=batch(2))
    path = f"{project}/{what}"
    assert client.get(path).is_success
    monkeypatch.setattr(services, "READ", {"statement_timeout": "200ms"})
    with engine.begin() as other:
        other.execute(text("LOCK TABLE projects IN ACCESS EXCLUSIVE MODE"))
        reply = client.get(path)
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
    assert reply.json()["detail"] == "The database took too long."
    assert client.get(path).is_success


def test_a_change_waits_for_nobody_for_long(
    client: httpx.Client, project: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "LOCK", 0.2)
    with engine.begin() as other:
        other.execute(text("SELECT FROM projects FOR UPDATE"))
        reply = client.patch(project, json={"pass_threshold": 0.9})
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
    assert client.patch(project, json={"pass_threshold": 0.9}).is_success
