"""What happens when grading fails: retry, halve, give back, and at last declare dead what is to blame.

Where Postgres has no room nothing is to blame: all that is left of the claim goes back as if it had not been tried.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from db import claims
from db.claims import Claim, ClaimedBatch
from db.errors import StaleClaimError
from telemetry import crashpoints, logging, metrics
from workers import intake, retries
from workers.retries import line
from workers.runtime import Runtime, WorkLeft

log = logging.get(__name__)

Dead = Mapping[int, Mapping[int, str]]

REHEARSALS = 200
"""Attempts to find the bad answers of a batch before all of it is declared dead."""
SHORTAGE_SHARE = 0.5
"""Of a batch's age, that it waits when Postgres had no room for it: it is tried ever less often while that lasts."""
SHORTAGE_PAUSE = 5.0
"""Seconds that a worker does nothing then, at most: whatever it took next would find no room either."""


class GradingFailedError(Exception):
    """Some batches of a claim could not be graded. The message names them; `left` is what the task would have left."""

    def __init__(self, failed: Sequence[str], left: WorkLeft) -> None:
        super().__init__("; ".join(failed))
        self.left = left


class _NoRoomError(Exception):
    """Postgres has no room for what was to be stored."""


class Grade(Protocol):
    """Grades batches of a claim in one transaction, leaving dead answers out."""

    def __call__(self, batches: Sequence[ClaimedBatch], dead: Dead, *, rehearse: bool = False) -> None: ...


def isolate(runtime: Runtime, claim: Claim, grade: Grade) -> list[str]:
    """Grade a claim; if that fails, halve it until what is to blame stands alone.

    Returns:
        A line for each batch that could not be graded whole.

    Raises:
        GradingFailedError: Postgres has no room. What was not graded waits, and so did this worker: the slice is over.
    """
    failed: list[str] = []
    try:
        _divide(runtime, claim, claim.batches, grade, failed)
    except StaleClaimError as error:
        metrics.CLAIMS.labels("fenced").inc()
        log.warning("claim lost", reason=str(error))
    except (_NoRoomError, DBAPIError) as error:
        cause = error.__cause__ if isinstance(error, _NoRoomError) else error
        if not isinstance(cause, DBAPIError) or not retries.short(cause):
            raise
        failed.append(_give_back(runtime, claim, cause))
        tried = tuple(batch.uid for batch in claim.batches)
        raise GradingFailedError(failed, WorkLeft(graded=tried)) from cause
    return failed


def _give_back(runtime: Runtime, claim: Claim, error: DBAPIError) -> str:
    """Let what is left of the claim wait until there may be room, and wait a while here."""
    settings = runtime.settings
    metrics.CLAIMS.labels("no_room").inc()

    def release() -> list[float]:
        with _bounded(runtime) as connection:
            return claims.release_untried(
                connection,
                claim,
                error=line(error),
                share=SHORTAGE_SHARE,
                least=settings.retry_base,
                most=settings.retry_max,
            )

    waits = retries.until_room(release, limit=settings.lease)
    log.error("no room", batches=len(waits), wait=max(waits, default=0.0), error=line(error))
    time.sleep(min(SHORTAGE_PAUSE, max(waits, default=0.0)))
    return f"{len(waits)} batches wait until there is room: {line(error)}"


def _divide(runtime: Runtime, claim: Claim, batches: Sequence[ClaimedBatch], grade: Grade, failed: list[str]) -> None:
    try:
        _persist(runtime, grade, batches, {})
    except (StaleClaimError, _NoRoomError):
        raise
    except Exception as failure:  # noqa: BLE001 - the batches beside the one to blame must not suffer from it
        error = failure
    else:
        return
    metrics.CLAIMS.labels("failed").inc()
    if len(batches) == 1:
        _renew(runtime, claim, batches)
        failed.append(_blame(runtime, claim, batches[0], grade, error))
        return
    log.warning("claim halved", batches=len(batches), error=line(error))
    middle = len(batches) // 2
    for half in (batches[:middle], batches[middle:]):
        _renew(runtime, claim, half)
        _divide(runtime, claim, half, grade, failed)


def _persist(
    runtime: Runtime, grade: Grade, batches: Sequence[ClaimedBatch], dead: Dead, *, rehearse: bool = False
) -> None:
    try:
        retries.through_conflicts(partial(grade, batches, dead, rehearse=rehearse), limit=runtime.settings.lease)
    except DBAPIError as error:
        if not retries.short(error) or (retries.out_of_memory(error) and len(batches) > 1):
            raise
        raise _NoRoomError from error


def _renew(runtime: Runtime, claim: Claim, batches: Sequence[ClaimedBatch]) -> None:
    with _bounded(runtime) as connection:
        claims.renew(connection, claim.id, [batch.id for batch in batches], runtime.settings.lease)


@contextmanager
def _bounded(runtime: Runtime) -> Iterator[Connection]:
    """A transaction whose rows are free again a lease after this process has stopped in the middle of it."""
    with runtime.bounded() as connection:
        yield connection
        crashpoints.reach("fault-before-commit")
    crashpoints.reach("fault-committed")


def _blame(runtime: Runtime, claim: Claim, batch: ClaimedBatch, grade: Grade, error: Exception) -> str:
    """Give a failing batch back, or, once it has been tried often enough, part with what is bad in it."""
    settings = runtime.settings
    with logging.bound(batch=batch.uid):
        if batch.attempts < settings.max_attempts:
            wait = min(settings.retry_max, settings.retry_base * 2 ** (batch.attempts - 1))
            wait *= random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            log.error("batch failed", attempts=batch.attempts, wait=wait, exc_info=error)
            with _bounded(runtime) as connection:
                claims.release(connection, claim.id, batch.id, error=line(error), wait=wait)
            return f"batch {batch.uid} waits to be tried again: {line(error)}"
        dead = _dead_answers(runtime, claim, batch, grade, error)
        if dead:
            try:
                _persist(runtime, grade, [batch], {batch.id: dead})
            except (StaleClaimError, _NoRoomError):
                raise
            except Exception as remaining:  # noqa: BLE001 - leaving them out was not enough: all of it is to blame
                error = remaining
            else:
                log.error("answers dead", answers=len(dead), error=line(error))
                return f"batch {batch.uid}: {len(dead)} of its answers are dead: {line(error)}"
        with _bounded(runtime) as connection:
            claims.bury(connection, claim.id, batch.id, error=line(error))
        log.error("batch dead", attempts=batch.attempts, error=line(error))
        return f"batch {batch.uid} is dead: {line(error)}"


def _dead_answers(
    runtime: Runtime, claim: Claim, batch: ClaimedBatch, grade: Grade, error: Exception
) -> dict[int, str]:
    """Which answers keep the batch from being graded, and why; none if they cannot be told from the rest."""
    try:
        everything = intake.decode(runtime.engine, [batch]).position.tolist()
    except Exception as failure:
        if retries.short(failure):
            raise
        return {}  # a body that cannot be read has no good part; the batch carries the error
    dead: dict[int, str] = {}
    rehearsals = 0

    def search(positions: Sequence[int], last: Exception) -> None:
        nonlocal rehearsals
        if len(positions) == 1:
            dead[positions[0]] = line(last)
            return
        middle = len(positions) // 2
        for half in (positions[:middle], positions[middle:]):
            rehearsals += 1
            if rehearsals > REHEARSALS:
                return
            left_out = dict.fromkeys(set(everything) - set(half), "left out")
            _renew(runtime, claim, [batch])
            try:
                _persist(runtime, grade, [batch], {batch.id: left_out}, rehearse=True)
            except (StaleClaimError, _NoRoomError):
                raise
            except Exception as failure:  # noqa: BLE001 - the reason is recorded with the answer
                search(half, failure)

    search(everything, error)
    return {} if rehearsals > REHEARSALS or len(dead) == len(everything) else dead
