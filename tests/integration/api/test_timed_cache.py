"""Look-ups are shared, kept for their time, and bounded."""

import asyncio
import threading

import pytest

from api.problems import ProblemError
from api.timed_cache import TimedCache


def test_a_value_is_loaded_once_for_all_who_ask() -> None:
    asked: list[str] = []
    release = threading.Event()

    def load(key: str) -> str:
        asked.append(key)
        release.wait(30)
        return key.upper()

    async def scenario() -> list[str]:
        cache = TimedCache(load, seconds=60, size=10, patience=30)
        waiting = [asyncio.create_task(cache.get("a")) for _ in range(5)]
        await asyncio.sleep(0)
        release.set()
        return [*await asyncio.gather(*waiting), await cache.get("a")]

    assert asyncio.run(scenario()) == ["A"] * 6
    assert asked == ["a"]


def test_an_old_value_is_loaded_again() -> None:
    asked: list[str] = []

    async def scenario() -> None:
        cache = TimedCache(asked.append, seconds=0, size=10, patience=30)
        await cache.get("a")
        await cache.get("a")

    asyncio.run(scenario())
    assert asked == ["a", "a"]


def test_the_oldest_goes_when_there_are_too_many() -> None:
    asked: list[int] = []

    async def scenario() -> None:
        cache = TimedCache(asked.append, seconds=60, size=2, patience=30)
        for key in (1, 2, 3, 3, 2, 1):
            await cache.get(key)

    asyncio.run(scenario())
    assert asked == [1, 2, 3, 1]


def test_an_error_is_not_kept() -> None:
    def load(_: str) -> str:
        raise KeyError

    async def scenario() -> None:
        cache = TimedCache(load, seconds=60, size=2, patience=30)
        for _ in range(2):
            with pytest.raises(KeyError):
                await cache.get("a")

    asyncio.run(scenario())


def test_who_waits_too_long_is_sent_away() -> None:
    release = threading.Event()

    async def scenario() -> None:
        cache: TimedCache[str, bool] = TimedCache(lambda _: release.wait(30), seconds=60, size=2, patience=0.01)
        with pytest.raises(ProblemError) as caught:
            await cache.get("a")
        assert caught.value.status_code == 503
        release.set()

    asyncio.run(scenario())
