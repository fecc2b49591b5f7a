"""A crowd that answers all the time, through whatever happens, and remembers what it was told is accepted."""

import asyncio
import json
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import httpx

from benchmarks.chaos.books import Answer
from benchmarks.chaos.stack import LIMIT, BrokenError, Stack
from db import projects, tenants

CLASSES = ("cat", "dog", "bird", "fish")
GOLD = 0.1
"""Share of the challenges."""
SITTING = 10
"""Answers of one respondent to a batch."""
HOT = 0.05
"""Share of challenges and of respondents to which `CROWDED` of the batches are: many answers are repeated there."""
CROWDED = 0.2
CLIENTS = 6
"""That repeat one POST at the same time."""
CONNECTIONS = 200
"""At most; who wants one more waits."""

_REPEATED, _REJECTED, _CANCELLED = 0.1, 0.05, 0.05
"""Shares of batches that come from many clients at once, hold an answer of no class, are cancelled when accepted."""
_LOOK = 0.1
"""Seconds between two looks whether a burst is due, or the load over."""
_STIR = 1.0
"""Seconds between two requests for a refit or changes of gold."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who answers what.

    By default so many that a refit is published in chunks, that workers remember enough of a project to keep it, and
    that a burst makes claims behind which the next one is made ahead.
    """

    challenges: int = 20_000
    respondents: int = 5_000
    answers: int = 100
    """Of one batch."""
    burst: int = 100
    """Batches that come at once, now and then."""
    calm: float = 10.0
    """Mean seconds between two bursts."""


MANY = Crowd()
FEW = Crowd(1500, 300, 30, 10, 5.0)
"""For a short run."""


class AbandonedError(Exception):
    """The load was ended while some of it was still to be accepted."""


class Load:
    """Posts batches to one project at a mean rate, from a thread of its own, until the block ends.

    Each batch has an idempotency key and is posted again under it until it is accepted, as a careful client does.
    """

    def __init__(self, stack: Stack, project: str, seed: int, rate: float, crowd: Crowd) -> None:
        self._stack = stack
        self._project = project
        self._random = random.Random(seed)
        self._rate = rate
        self._crowd = crowd
        self._truth = [self._random.choice(CLASSES) for _ in range(crowd.challenges)]
        self._skill = [self._random.uniform(0.4, 0.98) for _ in range(crowd.respondents)]
        self._gold = self._random.sample(range(crowd.challenges), round(GOLD * crowd.challenges))
        self._over = threading.Event()
        self._abandoned = threading.Event()
        self._paused = threading.Event()
        self._unstirred = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")
        self._keys: dict[str, str] = {}
        self.accepted: dict[str, tuple[Answer, ...]] = {}
        """What was posted with each batch that is known to be accepted, by the batch's id."""
        self.cancelled: set[str] = set()
        """Ids of batches that are known to be cancelled."""
        self.contradictions = 0
        """Replies to a repeated POST that named another batch than the first reply did."""
        self.posts = 0
        """Attempts, failed ones among them."""
        self.refusals: list[tuple[float, float]] = []
        """Of each request that got 503, or no reply at all: when (of the Unix clock), and seconds until it knew."""
        self.error: BaseException | None = None
        self._connections = asyncio.Semaphore(CONNECTIONS)
        self._refusal = ""
        """Why a request had to be sent again, lately."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Post nothing new and wait until everything that was begun is accepted; not after an error.

        Raises:
            BrokenError: not all of it was accepted in time.
        """
        self._over.set()
        if kind is not None:
            self._abandoned.set()
        self._thread.join(LIMIT)
        late = self._thread.is_alive()
        self._abandoned.set()
        self._thread.join()
        if kind is not None:
            return
        if late:
            raise BrokenError(f"not within {LIMIT:.0f} s: all that was posted to be accepted: {self._refusal}")
        if self.error:
            raise self.error

    @cached_property
    def project_id(self) -> int:
        """Of the project, which is there when something is accepted."""
        with self._stack.engine.connect() as connection:
            return projects.get(connection, tenants.get(connection, "default").id, self._project).id

    def paused(self) -> AbstractContextManager[None]:
        """No answers are posted inside the block, but those that were begun."""
        return _during(self._paused)

    def unstirred(self) -> AbstractContextManager[None]:
        """No refits are asked for and no gold is changed inside the block."""
        return _during(self._unstirred)

    async def _run(self) -> None:
        headers = {"Authorization": f"Bearer {self._stack.key}", "Content-Type": "application/json"}
        limits = httpx.Limits(max_connections=None)  # its pool may lose what is waited for in vain (httpcore#1093)
        try:
            async with httpx.AsyncClient(headers=headers, timeout=10, limits=limits) as self._http:
                await self._create()
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._stir())
                    group.create_task(self._crowds(group))
                    while not self._over.is_set():
                        if not self._paused.is_set():
                            group.create_task(self._batch())
                        await asyncio.sleep(self._random.expovariate(self._rate))
        except BaseException as error:  # noqa: BLE001 - told to whoever ends the block
            self.error = error

    async def _crowds(self, group: asyncio.TaskGroup) -> None:
        """Bursts of batches at moments of chance."""
        due = 0.0
        while not self._over.is_set():
            if due <= 0:
                due = self._random.expovariate(1 / self._crowd.calm)
                for _ in range(0 if self._paused.is_set() else self._crowd.burst):
                    group.create_task(self._batch())
            await asyncio.sleep(_LOOK)
            due -= _LOOK

    async def _create(self) -> None:
        await self._send("POST", "", {"name": self._project, "classes": CLASSES})
        items = [{"challenge": f"c{place:05}", "answer": self._truth[place]} for place in self._gold]
        await self._send("POST", f"/{self._project}/gold", items)

    async def _batch(self) -> None:
        key = str(uuid.UUID(int=self._random.getrandbits(128)))
        answers = self._answers()
        if self._random.random() < _REJECTED:
            answers[0]["answer"] = "unicorn"
        lane = self._random.choice(("live", "live", "bulk"))
        cancel = self._random.random() < _CANCELLED
        clients = CLIENTS if self._random.random() < _REPEATED else 1
        path = f"/{self._project}/batches?partial=true&lane={lane}"
        await asyncio.gather(*(self._post(path, answers, key) for _ in range(clients)))
        batch = self._keys[key]
        if cancel and (await self._send("DELETE", f"/{self._project}/batches/{batch}")).is_success:
            self.cancelled.add(batch)

    async def _post(self, path: str, answers: list[dict[str, str]], key: str) -> None:
        reply = await self._send("POST", path, {"answers": answers}, {"Idempotency-Key": key})
        told = reply.json()
        self.accepted[told["id"]] = tuple((each["challenge"], each["respondent"], each["answer"]) for each in answers)
        if self._keys.setdefault(key, told["id"]) != told["id"]:
            self.contradictions += 1

    def _answers(self) -> list[dict[str, str]]:
        """A batch of sittings."""
        share = HOT if self._random.random() < CROWDED else 1.0
        challenges, respondents = (
            max(SITTING, int(share * n)) for n in (self._crowd.challenges, self._crowd.respondents)
        )
        sitting = [self._random.randrange(respondents) for _ in range(-(-self._crowd.answers // SITTING))]
        return [
            self._answer(self._random.randrange(challenges), sitting[place // SITTING])
            for place in range(self._crowd.answers)
        ]

    def _answer(self, challenge: int, respondent: int) -> dict[str, str]:
        right = self._random.random() < self._skill[respondent]
        answer = self._truth[challenge] if right else self._random.choice(CLASSES)
        return {"challenge": f"c{challenge:05}", "respondent": f"r{respondent:05}", "answer": answer}

    async def _stir(self) -> None:
        """Keep refits and regrades going."""
        while not self._over.is_set():
            if not self._unstirred.is_set():
                challenge = self._random.choice(self._gold)
                state = self._random.choice(("active", "disputed"))
                await self._send("PATCH", f"/{self._project}/gold/c{challenge:05}", {"state": state})
                await self._send("POST", f"/{self._project}/model-runs")
            await asyncio.sleep(_STIR)

    async def _send(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send it until there is an answer that is no "later"."""
        content = None if body is None else json.dumps(body).encode()
        while True:
            if self._abandoned.is_set():
                raise AbandonedError
            try:
                async with self._connections:
                    self.posts += 1
                    began = time.time()
                    url = self._random.choice(self._stack.urls)
                    reply = await self._http.request(
                        method, f"{url}/v1/projects{path}", content=content, headers=headers or {}
                    )
                if reply.status_code not in {429, 503}:
                    if not reply.is_success and reply.status_code != 409:
                        raise RuntimeError(f"{method} {path}: {reply.status_code} {reply.text[:300]}")
                    return reply
                self._refusal = f"{reply.status_code} {reply.text[:300]}"
                if reply.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                    self.refusals.append((began, time.time() - began))
            except (httpx.TransportError, IndexError) as error:
                self._refusal = repr(error)
                if isinstance(error, httpx.ReadTimeout):
                    self.refusals.append((began, time.time() - began))
            await asyncio.sleep(0.05 + self._random.random() / 5)


@contextmanager
def _during(event: threading.Event) -> Iterator[None]:
    """It is set inside the block."""
    event.set()
    try:
        yield
    finally:
        event.clear()
