import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from telemetry.logging import bound, configure, get


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_ours_and_a_librarys_lines_look_alike_and_carry_the_identifiers(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    with bound(request="r1", batch=7):
        get("workers.claim").info("claimed", batches=3)
        logging.getLogger("celery.worker").warning("lost %s", "connection")
    get("workers.claim").info("idle")
    ours, theirs, after = lines(capsys)
    assert ours.items() >= {"event": "claimed", "batches": 3, "request": "r1", "batch": "7", "level": "info"}.items()
    assert theirs.items() >= {"event": "lost connection", "request": "r1", "logger": "celery.worker"}.items()
    assert "request" not in after
    assert set(ours) - {"batches"} == set(theirs)


def test_secrets_are_blanked_wherever_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    get("x").info("connecting to postgresql://me:hunter2@db/x", api_key="hunter2", headers={"Authorization": "hunter2"})
    try:
        raise RuntimeError("redis://:hunter2@127.0.0.1/0 refused")
    except RuntimeError:
        get("x").exception("failed")
    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert "postgresql://me:***@db/x" in written


def test_below_the_level_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning", "json")
    get("x").info("quiet")
    logging.getLogger("httpx").info("GET")
    assert capsys.readouterr().err == ""


def test_an_exception_is_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    try:
        raise ValueError("bad")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("request failed")
    (line,) = lines(capsys)
    assert "ValueError: bad" in str(line["exception"])


def test_for_eyes_it_is_not_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "console")
    try:
        raise RuntimeError("redis://:hunter2@127.0.0.1/0 refused")
    except RuntimeError:
        get("x").exception("failed", password="hunter2")
    written = capsys.readouterr().err
    assert "RuntimeError: redis://:***@" in written
    assert "hunter2" not in written
