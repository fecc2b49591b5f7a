"""Look-ups are shared, kept for their time, and bounded."""

import asyncio
import threading

import pytest

from api import timed_cache
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


def test_strange_keys_keep_no_known_one_waiting() -> None:
    release = threading.Event()

    def load(key: str) -> str | None:
        return key.upper() if key == "known" else "late" if release.wait(30) else None

    async def scenario() -> list[str | None]:
        cache = TimedCache(load, seconds=0, size=10, patience=30)
        await cache.get("known")
        strangers = [asyncio.create_task(cache.get(str(number))) for number in range(5)]
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            renewed = await cache.get("known")
        release.set()
        return [renewed, *await asyncio.gather(*strangers)]

    assert asyncio.run(scenario()) == ["KNOWN", *["late"] * 5]


def test_too_many_strange_keys_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_cache, "STRANGERS", 3)
    release = threading.Event()

    async def scenario() -> None:
        cache: TimedCache[int, bool] = TimedCache(lambda _: release.wait(30), seconds=60, size=10, patience=30)
        let_in = [asyncio.create_task(cache.get(number)) for number in (1, 2, 3, 3)]
        await asyncio.sleep(0)
        with pytest.raises(ProblemError) as caught:
            async with asyncio.timeout(10):
                await cache.get(4)
        assert (caught.value.status_code, caught.value.headers) == (503, {"Retry-After": "1"})
        release.set()
        assert await asyncio.gather(*let_in) == [True] * 4
        assert await cache.get(4)

    asyncio.run(scenario())


def test_nothing_takes_the_place_of_what_was_found() -> None:
    asked: list[str] = []

    def load(key: str) -> str | None:
        asked.append(key)
        return key if key == "known" else None

    async def scenario() -> None:
        cache = TimedCache(load, seconds=60, size=2, patience=30)
        for key in ("known", "1", "2", "3", "3", "known"):
            await cache.get(key)

    asyncio.run(scenario())
    assert asked == ["known", "1", "2", "3"]


def test_what_is_found_no_more_is_strange_again(monkeypatch: pytest.MonkeyPatch) -> None:
    values = ["found", None]

    async def scenario() -> None:
        cache: TimedCache[str, str | None] = TimedCache(lambda _: values.pop(0), seconds=0, size=2, patience=30)
        assert [await cache.get("a"), await cache.get("a")] == ["found", None]
        monkeypatch.setattr(timed_cache, "STRANGERS", 0)
        with pytest.raises(ProblemError):
            await cache.get("a")

    asyncio.run(scenario())
