"""Doorbells: rung once while unheard, never at the cost of whoever rings."""

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from prometheus_client import REGISTRY

from cli.stack.server import Server
from config.settings import Settings
from tasks import queues
from tasks.publisher import STAY_MS, Publisher
from tests.processes import hanging, stopped

NODE = "worker-1@host"
OWN = f"{NODE}.dq2"

TIMEOUT = 0.2
PATIENCE = 4.0
"""Seconds that a ring may take at the very worst on a busy machine, when sockets give up after TIMEOUT."""


@pytest.fixture
def worker(settings: Settings) -> Iterator[Publisher]:
    with Publisher(settings, node=NODE) as made:
        yield made


@pytest.fixture
def other(settings: Settings) -> Iterator[Publisher]:
    with Publisher(settings, node="worker-2@host") as made:
        yield made


def messages(client: redis.Redis, queue: str) -> list[dict[str, Any]]:
    """The messages in a queue, the oldest first."""
    return [json.loads(message) for message in client.lrange(queue, 0, -1)][::-1]


def keywords(message: dict[str, Any]) -> dict[str, Any]:
    """What the task is called with."""
    found: dict[str, Any] = json.loads(base64.b64decode(message["body"]))[1]
    return found


def test_rings_are_coalesced_until_heard(publisher: Publisher, client: redis.Redis) -> None:
    assert [publisher.ring(7, "live") for _ in range(3)] == [False, True, True]
    assert client.llen("live") == 1
    publisher.hear(7, "live")
    assert not publisher.ring(7, "live")
    assert client.llen("live") == 2


def test_doors_are_apart(publisher: Publisher, client: redis.Redis) -> None:
    publisher.ring(7, "live")
    publisher.ring(8, "live")
    publisher.ring(7, "bulk")
    assert (client.llen("live"), client.llen("bulk")) == (2, 1)
    publisher.hear(8, "live")
    publisher.ring(7, "live")
    assert client.llen("live") == 2


def test_nobody_rings_where_somebody_is_at_work(publisher: Publisher, client: redis.Redis) -> None:
    door = publisher.door(7, "live")
    door.stay(knowing=False)
    assert 0 < client.pttl("doorbell:live:7") <= STAY_MS  # whoever dies at work is not waited for
    publisher.ring(7, "live")
    publisher.ring(7, "bulk")
    assert (client.llen("live"), client.llen("bulk")) == (0, 1)
    door.leave()
    publisher.ring(7, "live")
    assert client.llen("live") == 1


def test_a_worker_can_call_itself_alone(worker: Publisher, publisher: Publisher, client: redis.Redis) -> None:
    worker.door(7, "live").stay(knowing=False)
    worker.ring(7, "live", stay=True)
    assert (client.llen("live"), client.llen(OWN)) == (0, 1)
    publisher.ring(7, "live")
    assert client.llen("live") == 0
    publisher.ring(7, "live", force=True)  # the sweep cannot know whether that one is there
    assert client.llen("live") == 1


def test_a_worker_that_takes_no_more_messages_closes_its_door(worker: Publisher, client: redis.Redis) -> None:
    door = worker.door(7, "live")
    assert not door.closing
    worker.retire()
    assert door.closing
    worker.ring(7, "live", stay=True)  # to all: it is not there any more
    assert (client.llen("live"), client.llen(OWN)) == (1, 0)


def test_a_door_is_left_to_the_worker_that_knows_the_project(
    worker: Publisher, other: Publisher, client: redis.Redis
) -> None:
    assert not other.pass_on(7, "live")
    worker.door(7, "live").stay(knowing=False)
    assert not other.pass_on(7, "live")
    worker.door(7, "live").stay(knowing=True)
    worker.door(7, "live").leave()
    assert 0 < client.pttl("home:7") <= STAY_MS  # whoever has died is not waited for
    assert other.pass_on(7, "live")
    assert (client.llen("live"), client.llen(OWN)) == (0, 1)
    other.ring(7, "live")
    assert client.llen("live") == 0  # somebody was called
    assert other.pass_on(7, "bulk")
    assert not worker.pass_on(7, "live")
    assert not other.pass_on(8, "live")


@pytest.mark.parametrize("own", [True, False])
def test_the_sweep_calls_all_where_only_a_worker_that_is_gone_was_called(
    worker: Publisher, other: Publisher, publisher: Publisher, client: redis.Redis, own: bool
) -> None:
    publisher.ring(8, "live")  # the lane is not empty
    worker.door(7, "live").stay(knowing=True)
    if own:
        worker.ring(7, "live", stay=True)
    else:
        assert other.pass_on(7, "live")
    publisher.ring(7, "live")
    assert [keywords(message)["project"] for message in messages(client, "live")] == [8]
    for _ in range(2):  # once is enough
        publisher.ring(7, "live", force=True)
        assert [keywords(message) for message in messages(client, "live")[1:]] == [
            {"project": 7, "lane": "live", "urgent": True}
        ]


def test_what_nobody_came_for_is_for_whoever_hears_it(publisher: Publisher, client: redis.Redis) -> None:
    publisher.ring(7, "live", force=True)
    publisher.ring(8, "live")
    assert [keywords(message) for message in messages(client, "live")] == [
        {"project": 7, "lane": "live", "urgent": True},
        {"project": 8, "lane": "live"},
    ]


def test_who_takes_no_more_messages_calls_all(worker: Publisher, other: Publisher, client: redis.Redis) -> None:
    door = worker.door(7, "live")
    door.stay(knowing=True)
    worker.retire()
    door.stay(knowing=True)
    worker.ring(7, "live", stay=True)
    assert (client.llen("live"), client.llen(OWN)) == (1, 0)
    assert not other.pass_on(7, "live")
    assert not worker.pass_on(7, "live")


def test_other_processes_ring_the_same_bell(settings: Settings, publisher: Publisher, client: redis.Redis) -> None:
    publisher.ring(7, "live")
    with Publisher(settings) as other:
        other.ring(7, "live")
        assert client.llen("live") == 1
        other.hear(7, "live")
    publisher.ring(7, "live")
    assert client.llen("live") == 2


def test_force_rings_for_a_message_that_was_lost_and_for_no_other(publisher: Publisher, client: redis.Redis) -> None:
    publisher.ring(7, "live")
    publisher.ring(7, "live", force=True)
    assert client.llen("live") == 1
    client.delete("live")
    publisher.ring(7, "live")
    assert client.llen("live") == 0
    publisher.ring(7, "live", force=True)
    assert client.llen("live") == 1


def test_a_doorbell_does_not_ring_for_ever(publisher: Publisher, settings: Settings, client: redis.Redis) -> None:
    publisher.ring(7, "live")
    assert 0 < client.pttl("doorbell:live:7") <= settings.doorbell_ms


def test_a_model_run_that_waits_has_one_message_until_it_is_heard(publisher: Publisher, client: redis.Redis) -> None:
    for force in (False, True):
        publisher.ring_refit(7)
        publisher.ring_refit(7, force=force)
    assert client.llen("refit") == 1
    publisher.ring_refit(8)
    assert client.llen("refit") == 2
    client.delete("refit")
    publisher.ring_refit(7)
    assert client.llen("refit") == 0
    publisher.ring_refit(7, force=True)
    publisher.hear(8, queues.REFIT_TASK)
    publisher.ring_refit(8)
    assert client.llen("refit") == 2


@pytest.mark.parametrize("queue", ["live", "bulk", "refit"])
def test_messages_are_json_and_none_expires_that_is_not_sent_again(
    publisher: Publisher, client: redis.Redis, queue: str
) -> None:
    if queue == "refit":
        publisher.ring_refit(7)
    else:
        publisher.ring(7, queue)
    (message,) = messages(client, queue)
    assert message["content-type"] == "application/json"
    arguments, keywords, _ = json.loads(base64.b64decode(message["body"]))
    assert arguments == []
    assert keywords == ({"project": 7} if queue == "refit" else {"project": 7, "lane": queue})
    headers = message["headers"]
    assert headers["task"] == ("refit" if queue == "refit" else "grade")
    assert headers["ignore_result"] is True
    assert headers["expires"] is None


def test_a_message_expires_only_after_it_was_due(publisher: Publisher, client: redis.Redis) -> None:
    publisher.go_on_revisiting(7, {"after": 3}, 160.0)
    publisher.ring_lesson(7, 80.0)
    for queue, pause in (("bulk", 160), ("refit", 80)):
        (message,) = messages(client, queue)
        due, expires = (datetime.fromisoformat(message["headers"][name]) for name in ("eta", "expires"))
        assert due - datetime.now(UTC) <= timedelta(seconds=pause)
        assert abs(expires - due - timedelta(seconds=queues.EXPIRES)) < timedelta(seconds=1)


def test_it_pings(publisher: Publisher) -> None:
    assert publisher.ping()


@pytest.mark.parametrize("fault", [stopped, hanging])
@pytest.mark.parametrize("connected", [True, False])
def test_without_redis_nobody_waits_and_nobody_fails(
    valkey: Server, settings: Settings, client: redis.Redis, fault: Any, connected: bool
) -> None:
    publisher = Publisher(settings, socket_timeout=TIMEOUT, rest=0.0)
    if connected:
        assert publisher.ping()
    client.close()
    failed = outcomes("failed")
    with fault(valkey):
        for ring in (
            lambda: publisher.ring(7, "live"),
            lambda: publisher.ring_refit(7),
            lambda: publisher.hear(7, "live"),
            publisher.ping,
        ):
            began = time.monotonic()
            assert not ring()
            assert time.monotonic() - began < PATIENCE
    assert outcomes("failed") == failed + 2  # to ring and to hear
    publisher.ring(8, "live")
    assert client.lrange("live", 0, 0) != []
    publisher.close()


@pytest.mark.parametrize("fault", [stopped, hanging])
def test_redis_is_left_alone_after_a_failure(
    valkey: Server, settings: Settings, client: redis.Redis, fault: Any
) -> None:
    """Whoever rings for a hundred projects waits for Redis once."""
    publisher = Publisher(settings, socket_timeout=TIMEOUT, rest=60.0)
    client.close()
    failed, skipped = outcomes("failed"), outcomes("skipped")
    with fault(valkey):
        for project in range(100):
            publisher.ring(project, "live")
    publisher.ring(100, "live")
    assert (outcomes("failed") - failed, outcomes("skipped") - skipped) == (1, 100)
    assert publisher.ping()
    publisher.ring(101, "live")
    assert len(messages(client, "live")) == 1
    publisher.close()


def outcomes(outcome: str) -> float:
    """Doorbells of the live lane of this process that came to this end."""
    return REGISTRY.get_sample_value("touchstone_doorbells_total", {"lane": "live", "outcome": outcome}) or 0
