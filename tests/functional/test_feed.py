"""Consumers of the change feed, killed and restarted at random while four workers write."""

import io
import json
import random
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, text

from cli.stack.ports import free_port
from config.settings import Settings
from db.engine import make_engine
from tests.functional.fleet import Fleet, Process, client
from tests.versions import faults, make_challenges, write
from tests.waiting import until

EVENTS = 100_000
WRITERS = 4
CHALLENGES = 2_000
AT_ONCE = 100
"""Versions that one transaction writes."""

LARGEST = 8_000_000
"""Bytes after which a consumer is killed, at most: about a quarter of all."""

Events = list[dict[str, Any]]


@pytest.fixture
def writing(settings: Settings) -> Iterator[Engine]:
    """What the writers write with."""
    made = make_engine(settings.require_database_url(), pool_size=WRITERS, name="test-writers")
    yield made
    made.dispose()


@pytest.fixture
def url(fleet: Fleet) -> str:
    """The address of the API."""
    return fleet.api()


@pytest.fixture
def project(url: str, key: str, engine: Engine) -> int:
    """The id of the project `quiz`."""
    with client(url, key) as made:
        made.post("/projects", json={"name": "quiz", "classes": ["no", "yes"]}).raise_for_status()
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT id FROM projects")).scalar_one())


def test_killed_consumers_miss_nothing_and_see_nothing_twice(
    writing: Engine, project: int, url: str, key: str, make_fleet: Callable[..., Fleet]
) -> None:
    challenges = make_challenges(writing, project, CHALLENGES)
    consumers = make_fleet(api_url=url, api_key=key)
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        writers = [pool.submit(write_versions, writing, project, challenges, seed) for seed in range(WRITERS)]
        streaming = pool.submit(stream, url, key, random.Random("stream"))
        following = follow(consumers, random.Random("follow"))
        for writer in writers:
            writer.result()
        streamed = streaming.result()
    assert faults(writing, project) == {}
    for seen in (following, streamed):
        assert [event["position"] for event in seen] == list(range(1, EVENTS + 1))
        versions = defaultdict(list)
        for event in seen:
            versions[event["challenge"]].append(event["version"])
        assert all(found == list(range(1, len(found) + 1)) for found in versions.values())


def write_versions(writing: Engine, project: int, challenges: list[int], seed: int) -> None:
    """A quarter of all versions; now and then a transaction comes to nothing and is made again."""
    rng = random.Random(seed)
    left = EVENTS // WRITERS // AT_ONCE
    while left:
        with writing.connect() as connection:
            write(connection, project, rng.sample(challenges, AT_ONCE))
            if rng.random() < 0.8:
                connection.commit()
                left -= 1


def follow(consumers: Fleet, rng: random.Random) -> Events:
    """What `touchstone events` has written, killed again and again and started behind the last whole line."""
    seen: Events = []
    while len(seen) < EVENTS:
        after = ["--after", seen[-1]["cursor"]] if seen else []
        process = consumers.start("events", "--project=quiz", "--follow", "--json", *after)
        until(partial(_has_written, process, rng.randrange(1, LARGEST)), "a consumer that goes on")
        process.kill()
        seen += map(json.loads, process.log.read_bytes().split(b"\n")[:-1])
    return seen


def stream(url: str, key: str, rng: random.Random) -> Events:
    """What a stream has sent, left again and again and opened behind the last event."""
    seen: Events = []
    with client(url, key) as caller:
        while len(seen) < EVENTS:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": seen[-1]["cursor"]} if seen else {})
            enough = min(len(seen) + rng.randrange(1, EVENTS // 4), EVENTS)
            with caller.stream("GET", "/projects/quiz/events", headers=headers) as response:
                for line in response.iter_lines():
                    if line.startswith("data:"):
                        seen.append(json.loads(line[5:]))
                        if len(seen) == enough:
                            break
    return seen


def _has_written(consumer: Process, size: int) -> bool:
    """Whether it has written so many bytes, or the last event."""
    with consumer.log.open("rb") as log:
        written = log.seek(0, io.SEEK_END)
        log.seek(max(0, written - 1000))
        end = log.read()
    assert consumer.running, end
    return written >= size or (end.endswith(b"\n") and f'"position":{EVENTS},'.encode() in end)


def test_a_stream_does_not_hold_up_the_end_of_the_server(fleet: Fleet, key: str) -> None:
    port = free_port()
    server = fleet.start("serve", "--port", str(port))
    with client(f"http://127.0.0.1:{port}", key) as caller:
        until(lambda: server.said("Uvicorn running"), "an API that is ready")
        caller.post("/projects", json={"name": "quiz", "classes": ["no", "yes"]}).raise_for_status()
        with caller.stream("GET", "/projects/quiz/events", headers={"Accept": "text/event-stream"}) as response:
            lines = response.iter_lines()
            assert next(lines) == "retry: 1000"
            server.signal(signal.SIGTERM)
            assert set(lines) <= {"", ": ping"}  # ended, not broken off
    until(lambda: not server.running, "an API that has ended")
    assert not server.said("timeout graceful shutdown exceeded")
