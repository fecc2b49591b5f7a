"""What /metrics counts in the database costs it little."""

import time

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from api import gauges
from api.gauges import ADVISORY_LOCK, Gauges
from db import transactions
from telemetry import metrics


def accepted() -> float | None:
    return REGISTRY.get_sample_value("touchstone_answers", {"state": "accepted"})


def test_one_process_at_a_time_counts_answers(engine: Engine) -> None:
    metrics.ANSWERS.clear()
    waiting = Gauges(engine)
    with engine.begin() as other:
        other.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        waiting.refresh()
        assert accepted() is None
    waiting.refresh()
    assert accepted() == 0


def test_a_reading_that_takes_too_long_is_given_up_and_not_begun_again_at_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "BACKLOG_AGE", 2.0)  # given up after a second, and left alone for 20
    monkeypatch.setattr(gauges, "LEDGER_AGE", 2.0)
    read = Gauges(engine)
    with transactions.begun(engine, transactions.bounds(idle=60)) as other:
        other.execute(text("LOCK TABLE batches"))
        for _ in range(2):  # of the backlog, of the ledger
            with pytest.raises(OperationalError, match="statement timeout"):
                read.refresh()
        began = time.monotonic()
        read.refresh()
        assert time.monotonic() - began < 1


def test_what_takes_long_is_read_more_seldom(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "LEDGER_AGE", 0.1)
    monkeypatch.setattr(gauges, "SHARE", 1e-6)
    monkeypatch.setattr(gauges, "SELDOM", 10**7)
    metrics.ANSWERS.clear()
    read = Gauges(engine)
    read.refresh()
    assert accepted() == 0
    metrics.ANSWERS.clear()
    time.sleep(0.2)
    read.refresh()
    assert accepted() is None
