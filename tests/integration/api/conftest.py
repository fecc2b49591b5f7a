from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.orm import scoped_session

from config.settings import Settings
from tests.factories.base import Session
from tests.integration.api.callers import ALL, Call, make_key
from tests.integration.api.service import serve


@pytest.fixture
def session(engine: Engine) -> Iterator[scoped_session[OrmSession]]:
    """What factories write through."""
    Session.configure(bind=engine)
    yield Session
    Session.remove()


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    """The base URL of a running API."""
    with serve(settings) as running:
        yield running


@pytest.fixture
def call(url: str, engine: Engine) -> Iterator[Call]:
    """Makes clients, each with a key of its own."""
    with ExitStack() as open_clients:

        def client(tenant: str = "acme", *scopes: str) -> httpx.Client:
            _, secret = make_key(engine, tenant, scopes or ALL)
            headers = {"Authorization": f"Bearer {secret}"}
            return open_clients.enter_context(httpx.Client(base_url=url, headers=headers, timeout=30))

        yield client


@pytest.fixture
def client(call: Call) -> httpx.Client:
    """A client of the tenant acme that may do everything."""
    return call()


@pytest.fixture
def project(client: httpx.Client) -> str:
    """The path of a project of acme with the classes a and b."""
    made = client.post("/v1/projects", json={"name": "cats", "classes": ["a", "b"]})
    assert made.status_code == 201, made.text
    return str(made.headers["Location"])
