"""Flower shows what the fleet did: one task that graded and one that failed, in its API and on its page."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright
from sqlalchemy import Engine, text

from cli.stack.ports import free_port
from tests.functional import books
from tests.functional.conftest import Answer
from tests.functional.fleet import Fleet
from tests.functional.test_grading import post
from tests.waiting import until

CHROMIUM = Path("/usr/bin/chromium")
AUTH = ("touchstone", "open sesame")


@pytest.fixture
def fleet(make_fleet) -> Fleet:  # type: ignore[no-untyped-def]
    """A fleet whose failing batches fail at once, and whose Flower has a password."""
    made: Fleet = make_fleet(lease=3, sweep_interval=0.5, max_attempts=1, flower_password=AUTH[1])
    return made


@pytest.fixture
def flower(fleet: Fleet) -> str:
    """Flower's address."""
    port = free_port()
    fleet.start("flower", "--port", str(port))
    url = f"http://127.0.0.1:{port}"
    until(lambda: _answers(url), "Flower to answer")
    return url


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a real browser that knows the password."""
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is not there")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        context = browser.new_context(http_credentials={"username": AUTH[0], "password": AUTH[1]})
        yield context.new_page()
        browser.close()


def test_a_graded_and_a_failed_task(
    fleet: Fleet, flower: str, api: httpx.Client, engine: Engine, crowd: list[list[Answer]], page: Page
) -> None:
    post(api, crowd[0]).raise_for_status()
    broken = post(api, crowd[1]).headers["Location"].removeprefix("/v1")
    with engine.begin() as connection:
        connection.execute(text("UPDATE payloads SET body = 'spoiled' WHERE batch_id = (SELECT max(id) FROM batches)"))
    fleet.worker()
    until(lambda: api.get(broken).json()["state"] == "dead", "a batch that cannot be graded")
    post(api, crowd[2]).raise_for_status()
    until(lambda: books.balance(engine, "quiz").graded == 80, "the other batches to be graded")

    assert httpx.get(f"{flower}/api/tasks").status_code == 401
    tasks = until(lambda: _states(flower), "both tasks in Flower's API")
    graded, failed = tasks["SUCCESS"], tasks["FAILURE"]
    assert (graded["name"], failed["name"]) == ("grade", "grade")
    assert "'lane': 'live'" in graded["kwargs"]
    assert "is dead" in failed["exception"]

    page.goto(f"{flower}/tasks")
    page.wait_for_selector("#tasks-table tbody tr:has-text('FAILURE')")
    rows = page.locator("#tasks-table tbody tr").all_inner_texts()
    assert any("grade" in row and "SUCCESS" in row and "'lane': 'live'" in row for row in rows)
    assert any("grade" in row and "FAILURE" in row for row in rows)


def _states(flower: str) -> dict[str, dict[str, str]] | None:
    """A task of each final state, once there is one of both."""
    tasks = httpx.get(f"{flower}/api/tasks", auth=AUTH).json().values()
    found = {task["state"]: task for task in tasks}
    return found if {"SUCCESS", "FAILURE"} <= found.keys() else None


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthcheck").is_success
    except httpx.TransportError:
        return False
