"""Ringing: how everybody outside a task wakes the fleet. Sends by name; loads no task, no torch."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from celery.utils.nodenames import worker_direct
from kombu.entity import Queue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from config.settings import Settings
from tasks import queues
from tasks.app import make_app
from telemetry import logging, metrics

log = logging.get(__name__)

REST = 2.0
"""Seconds for which Redis is not tried again after it has failed: else each ring would wait for it anew."""


STAY_MS = 3000
"""Milliseconds for which a worker that has said that it is at a door is believed; it says so at every claim."""

REFIT_MS = 120_000
"""Milliseconds for which a doorbell of the refit lane stands: a run may take long, and the queue is to stay short."""

_ALL = b"1"
"""What a doorbell says that all can hear; where one worker alone was called it names that one."""


class _RestingError(OSError):
    """Redis has just failed, and is not tried again yet."""


_FAILURES = (OperationalError, RedisError, OSError)


class Publisher:
    """One connection to Redis that rings doorbells. Not thread-safe: give each thread its own.

    A doorbell that cannot be rung is logged and forgotten: what it stands for is in Postgres, the sweep rings again.

    Args:
        socket_timeout: seconds that Redis may take to answer, and to be connected to.
        rest: seconds without any attempt after a failure.
        node: Celery's name of the worker that rings, if one does.
    """

    def __init__(
        self, settings: Settings, *, socket_timeout: float = 1.0, rest: float = REST, node: str | None = None
    ) -> None:
        self._node = node
        self.retired = False
        """Whether this worker takes no more messages."""
        self._rest = rest
        self._resting_until = 0.0
        self._app = make_app(settings, socket_timeout=socket_timeout)
        self._app.conf.broker_transport_options |= {"max_retries": 1, "interval_start": 0, "interval_step": 0}
        self._doorbell_ms = settings.doorbell_ms
        self._connection: Any = None

    def ring(self, project_id: int, lane: str, *, force: bool = False, stay: bool = False) -> bool:
        """Say that something waits for the project and lane; does nothing if that has been said and not yet heard.

        Args:
            force: say it anyway where no message is left that could be heard; whoever hears it is to go.
            stay: say it to this worker alone, which is at the door and so has kept the bell up. Should it be gone, the
                sweep says it to all.

        Returns:
            whether it had been said and not been heard yet.
        """
        try:
            fresh = stay or self._lift(_doorbell(project_id, lane), lane, force=force)
            if stay:
                self._call(project_id, lane, self._node)
            elif fresh:
                urgent = {"urgent": True} if force else {}
                self._send(queues.GRADE_TASK, {"project": project_id, "lane": lane, **urgent}, lane, expires=None)
            metrics.DOORBELLS.labels(lane, "rung" if fresh else "coalesced").inc()
        except _FAILURES as error:
            self._failed(lane, error)
            return False
        return not fresh

    def pass_on(self, project_id: int, lane: str) -> bool:
        """Leave a door to another worker, if one has just been there that knows the project.

        Should it be gone, the sweep says it to all.

        Returns:
            whether one was called.
        """
        try:
            home = self._redis().get(_home(project_id))
            if home is None or self._node in {None, home.decode()}:
                return False
            self._call(project_id, lane, home.decode())
            metrics.DOORBELLS.labels(lane, "passed").inc()
        except _FAILURES as error:
            self._failed(lane, error)
            return False
        return True

    def ring_refit(self, project_id: int, *, force: bool = False) -> None:
        """Say that a model run of the project waits; does nothing if that has been said and not yet heard.

        Args:
            force: say it anyway where no message is left that could be heard.
        """
        try:
            door = _doorbell(project_id, queues.REFIT_TASK)
            fresh = self._lift(door, queues.REFIT, force=force, stands=REFIT_MS)
            if fresh:
                self._send(queues.REFIT_TASK, {"project": project_id}, queues.REFIT, expires=None)
            metrics.DOORBELLS.labels(queues.REFIT, "rung" if fresh else "coalesced").inc()
        except _FAILURES as error:
            self._failed(queues.REFIT, error)

    def ring_regrade(self, project_id: int, *, force: bool = False) -> None:
        """Say that gold of the project has changed; does nothing if that has been said and not yet heard.

        Args:
            force: say it anyway where no message is left that could be heard.
        """
        try:
            if self._lift(_doorbell(project_id, queues.REGRADE_TASK), queues.BULK, force=force):
                self._send(queues.REGRADE_TASK, {"project": project_id}, queues.BULK, expires=None)
        except _FAILURES as error:
            self._failed(queues.BULK, error)

    def ring_lesson(self, project_id: int, pause: float = 0.0) -> None:
        """Say that the population of the project is to be learned, so many seconds from now.

        Does nothing if that has been said and not yet heard.
        """
        try:
            door = _doorbell(project_id, queues.LEARN_TASK)
            if self._redis().set(door, _ALL, nx=True, px=REFIT_MS):
                self._send(queues.LEARN_TASK, {"project": project_id}, queues.REFIT, pause=pause)
        except _FAILURES as error:
            self._failed(queues.REFIT, error)

    def start_revisit(self, project_id: int) -> None:
        """Let the idle revisit the project's stale challenges, unless they are at it or have just been."""
        try:
            if self._redis().set(_revisit(project_id), 1, nx=True, px=queues.REVISIT_PAUSE_MS):
                self._send(queues.REVISIT_TASK, {"project": project_id}, queues.BULK)
        except _FAILURES as error:
            self._failed(queues.BULK, error)

    def go_on_revisiting(self, project_id: int, place: Mapping[str, int], pause: float) -> None:
        """Let somebody go on where a slice of revisits has ended, so many seconds from now."""
        try:
            self._redis().set(_revisit(project_id), 1, px=queues.REVISIT_PAUSE_MS + round(1000 * pause))
            self._send(queues.REVISIT_TASK, {"project": project_id, **place}, queues.BULK, pause=pause)
        except _FAILURES as error:
            self._failed(queues.BULK, error)

    def ask_to_explain(self, project_id: int, challenge_id: int, reply: str, gold: bool, patience: float) -> None:
        """Ask for an explanation that somebody waits for at the key `reply`, for so many seconds."""
        arguments = {"project": project_id, "challenge": challenge_id, "reply": reply, "gold": gold}
        try:
            self._send(queues.EXPLAIN_TASK, arguments, queues.LIVE, expires=patience)
        except _FAILURES as error:
            self._failed(queues.LIVE, error)

    def reply(self, key: str, document: bytes) -> None:
        """Give an answer to whoever waits for it at a key; it is gone soon if nobody does."""
        try:
            with self._redis().pipeline() as pipeline:
                pipeline.rpush(key, document).expire(key, queues.REPLY_SECONDS).execute()
        except _FAILURES as error:
            self._drop(error)

    def door(self, project_id: int, lane: str) -> "Door":
        """The door of a project and lane, for whoever goes to work there."""
        return Door(self, project_id, lane)

    def stay(self, project_id: int, lane: str, *, knowing: bool) -> None:
        """Say that somebody is at the door and will look again before leaving: for a while nobody needs to ring.

        Args:
            knowing: the project had better be left to this worker, for as long a while.
        """
        try:
            with self._redis().pipeline(transaction=False) as pipeline:
                pipeline.set(_doorbell(project_id, lane), _ALL, px=STAY_MS)
                if knowing and self._node is not None:
                    pipeline.set(_home(project_id), self._node, px=STAY_MS)
                pipeline.execute()
        except _FAILURES as error:
            self._failed(lane, error)

    def hear(self, project_id: int, lane: str) -> None:
        """Take the doorbell down: who rings from now on is not heard yet. To be done before the last look."""
        try:
            self._redis().delete(_doorbell(project_id, lane))
        except _FAILURES as error:
            self._failed(lane, error)

    def retire(self) -> None:
        """From now on this worker is not called alone. Talks to nobody, so that it may be called at any moment."""
        self._node = None
        self.retired = True

    def tell(self, graded: Sequence[uuid.UUID]) -> None:
        """Say which batches were graded to whoever waits for one at this moment; nobody else will ever hear it."""
        try:
            self._redis().publish(queues.GRADED, " ".join(map(str, graded)))
        except _FAILURES as error:
            self._drop(error)

    def ping(self) -> bool:
        """Whether Redis answers; asks it in any case."""
        self._resting_until = 0.0
        try:
            return bool(self._redis().ping())
        except _FAILURES as error:
            self._drop(error)
            return False

    def close(self) -> None:
        """Give the connection back. The publisher can be used again."""
        if self._connection is not None:
            self._connection.release()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _redis(self) -> Any:
        """The Redis client of the one connection, which is made when first needed and after a failure."""
        if time.monotonic() < self._resting_until:
            raise _RestingError
        if self._connection is None:
            self._connection = self._app.connection_for_write()
        return self._connection.default_channel.client

    def _lift(self, door: str, queue: str, *, force: bool, stands: int | None = None) -> bool:
        """Note that a door is being rung; whether it was not so already. Each has one message in its queue at most.

        However busy the fleet is, queues are then no longer than there are doors, and doors are served in turn.

        Args:
            force: the message may be lost: the queue is empty, or it went to one worker alone, who may be gone.
            stands: milliseconds, if not as long as others.
        """
        redis = self._redis()
        lost = False
        if force:
            with redis.pipeline(transaction=False) as pipeline:
                said, waiting = pipeline.get(door).llen(queue).execute()
            lost = not waiting or said not in {None, _ALL}
        return bool(redis.set(door, _ALL, nx=not lost, px=stands or self._doorbell_ms))

    def _call(self, project_id: int, lane: str, node: str | None) -> None:
        """Say to one worker alone that something waits, or to all: nobody knows the project any more."""
        with self._redis().pipeline(transaction=False) as pipeline:
            pipeline.set(_doorbell(project_id, lane), _ALL if node is None else node, px=self._doorbell_ms)
            if node is None:
                pipeline.delete(_home(project_id))
            pipeline.execute()
        queue = lane if node is None else worker_direct(node)
        self._send(queues.GRADE_TASK, {"project": project_id, "lane": lane}, queue, expires=None)

    def _send(
        self,
        task: str,
        arguments: dict[str, Any],
        queue: str | Queue,
        expires: float | None = queues.EXPIRES,
        pause: float = 0.0,
    ) -> None:
        """Send a message, due after a pause, that is worth nothing so many seconds after it was due."""
        self._redis()
        self._app.send_task(
            task,
            kwargs=arguments,
            queue=queue,
            connection=self._connection,
            expires=None if expires is None else pause + expires,
            countdown=pause or None,
            ignore_result=True,
            retry=False,
        )

    def _failed(self, lane: str, error: Exception) -> None:
        metrics.DOORBELLS.labels(lane, "skipped" if isinstance(error, _RestingError) else "failed").inc()
        self._drop(error)

    def _drop(self, error: Exception) -> None:
        if isinstance(error, _RestingError):
            return
        self._resting_until = time.monotonic() + self._rest
        log.warning("redis is away", error=str(error))
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.collect()


@dataclass(frozen=True, slots=True)
class Door:
    """Where somebody works. Nobody rings there meanwhile: a flood would else call everyone to a project that is graded
    by one."""

    publisher: Publisher
    project_id: int
    lane: str

    @property
    def closing(self) -> bool:
        """Whether whoever is here is to end soon."""
        return self.publisher.retired

    def stay(self, *, knowing: bool) -> None:
        """Be known to be here, and perhaps to be the one who knows the project."""
        self.publisher.stay(self.project_id, self.lane, knowing=knowing)

    def leave(self) -> None:
        """Be here for one more look, at what has come without a ring; whoever comes from now on rings."""
        self.publisher.hear(self.project_id, self.lane)

    def tell(self, graded: Sequence[uuid.UUID]) -> None:
        """Say which batches were graded."""
        self.publisher.tell(graded)


def _revisit(project_id: int) -> str:
    return f"revisit:{project_id}"


def _doorbell(project_id: int, lane: str) -> str:
    return f"doorbell:{lane}:{project_id}"


def _home(project_id: int) -> str:
    return f"home:{project_id}"
