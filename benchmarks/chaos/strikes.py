"""What is done to the stack, by kind. Each strike returns once what it has broken is started, or goes on, again."""

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil
import redis
from kombu.exceptions import OperationalError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from benchmarks.chaos import disk
from benchmarks.chaos.load import Load
from benchmarks.chaos.stack import BrokenError, Stack, until
from consensus import population
from db import owed, populations
from tasks import queues
from tasks.app import make_app
from telemetry import crashpoints

PAUSE = 10.0
"""Seconds that servers are stopped for."""
SPELL = 3.0
"""Seconds of duplicated messages, or of a clock that jumps."""
FULL = (4.0, 8.0)
"""Seconds that the disk of Postgres stays full."""
FULL_DISK = "full-disk"
"""The kind that needs a disk of its own."""
SOON = 8.0
"""Seconds from the beginning of a strike in which another process is killed as well."""
PATIENCE = 30.0
"""Seconds in which a doomed process should come to its crash point."""
QUIET_PATIENCE = 60.0
"""Likewise, where it comes only in quiet; less than what the supervisor gives a worker for its imports."""
QUIET = 25.0
"""Seconds without load in which it should come there, if there is anything to do."""
POINTS = [point for point in crashpoints.POINTS if point not in crashpoints.RARE]
IN_QUIET = (*crashpoints.LEARN, *crashpoints.DEBT)
"""Crash points to which nobody comes while the load goes on."""

Message = tuple[str, dict[str, Any], str]
"""A task, its arguments, and the queue."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One way to break the stack.

    Args:
        act: does it; returns how many processes it has killed.
        share: how often it comes, compared with the others.
        joined: whether one of the processes that do the work may be killed meanwhile (`beside`).
    """

    act: Callable[[Stack, random.Random, Load], int]
    share: int = 1
    joined: bool = False


def api(stack: Stack, _: random.Random, __: Load) -> int:
    stack.kill("api")
    return 1


def worker(stack: Stack, chance: random.Random, _: Load) -> int:
    stack.kill(chance.choice(_graders(stack)))
    return 1


def refit(stack: Stack, chance: random.Random, _: Load) -> int:
    chance.choice((stack.kill, stack.kill_child))("worker-refit")
    return 1


def maintenance(stack: Stack, chance: random.Random, _: Load) -> int:
    chance.choice((stack.kill, stack.kill_child))("worker-maintenance")
    return 1


def beat(stack: Stack, _: random.Random, __: Load) -> int:
    stack.kill("beat")
    return 1


def supervisor(stack: Stack, _: random.Random, __: Load) -> int:
    stack.kill_supervisor()
    return 1


def valkey(stack: Stack, _: random.Random, __: Load) -> int:
    stack.kill("valkey")
    return 1


def postgres(stack: Stack, _: random.Random, __: Load) -> int:
    """Immediate shutdown: no checkpoint, the log is replayed when it starts."""
    stack.kill("postgres", signal.SIGQUIT)
    return 1


def postgres_backend(stack: Stack, chance: random.Random, _: Load) -> int:
    """kill -9 one of its backends: the server ends all the others, and replays its log."""
    with contextlib.suppress(psutil.NoSuchProcess):
        chance.choice(psutil.Process(stack.pid("postgres")).children()).kill()
        return 1
    return 0


def storm(stack: Stack, chance: random.Random, _: Load) -> int:
    """Everything but the supervisor, within a moment; over when all is ready again, as nobody is left to grade."""
    names = list(stack.processes)
    chance.shuffle(names)
    before = {name: stack.pid(name) for name in names}
    for pid in before.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()
    until(lambda: all(stack.processes.get(name, pid) != pid for name, pid in before.items()), "all to be started again")
    until(stack.whole, "all to be ready")
    return len(names)


def stop_worker(stack: Stack, chance: random.Random, _: Load) -> int:
    """Stop a worker for longer than its lease, then let it go on."""
    with _stopped(psutil.Process(stack.pid(chance.choice(_graders(stack))))):
        time.sleep(stack.settings.lease + 2)
    return 0


def stop_valkey(stack: Stack, _: random.Random, __: Load) -> int:
    with _stopped(psutil.Process(stack.pid("valkey"))):
        time.sleep(PAUSE)
    return 0


def stop_postgres(stack: Stack, _: random.Random, __: Load) -> int:
    postmaster = psutil.Process(stack.pid("postgres"))
    with _stopped(postmaster, *postmaster.children(recursive=True)):
        time.sleep(PAUSE)
    return 0


def full_disk(stack: Stack, chance: random.Random, _: Load) -> int:
    """No room for Postgres: it refuses to store. Every other time its log is used up, too: it dies, starts in vain."""
    with disk.full(stack.database):
        if chance.random() < 0.5:
            _use_up_log(stack)
        time.sleep(chance.uniform(*FULL))
    until(lambda: psutil.pid_exists(stack.processes["postgres"]), "postgres to be started again")
    return 0


def _use_up_log(stack: Stack) -> None:
    """Fill segment after segment of Postgres's log until it can begin no other, and dies."""
    over = time.monotonic() + PATIENCE
    with contextlib.suppress(DBAPIError):
        while time.monotonic() < over:
            with stack.engine.begin() as connection:
                connection.execute(text("SELECT pg_logical_emit_message(true, 'chaos', ''), pg_switch_wal()"))


def flush(stack: Stack, _: random.Random, __: Load) -> int:
    with (
        contextlib.suppress(redis.RedisError),  # who is away comes back empty
        redis.Redis.from_url(stack.settings.require_redis_url()) as client,
    ):
        client.flushall()
    return 0


def triple(stack: Stack, _: random.Random, load: Load) -> int:
    """Every doorbell of the project, and a sweep, three times at once, again and again."""
    project = load.project_id
    messages: list[Message] = [
        *((queues.GRADE_TASK, {"project": project, "lane": lane}, lane) for lane in queues.LANES),
        (queues.REGRADE_TASK, {"project": project}, queues.BULK),
        (queues.REVISIT_TASK, {"project": project}, queues.BULK),
        (queues.REFIT_TASK, {"project": project}, queues.REFIT),
        (queues.LEARN_TASK, {"project": project}, queues.REFIT),
        (queues.SWEEP_TASK, {}, queues.MAINTENANCE),
    ]
    over = time.monotonic() + SPELL
    while time.monotonic() < over:
        _send(stack, messages * 3, expires=60)
        time.sleep(0.25)
    return 0


def clock(stack: Stack, chance: random.Random, _: Load) -> int:
    """Every lease has run out, again and again, whatever its holder is doing."""
    over = time.monotonic() + SPELL
    while time.monotonic() < over:
        with stack.engine.begin() as connection:
            for table, state in (("batches", "claimed"), ("model_runs", "running")):
                connection.execute(
                    text(f"UPDATE {table} SET lease_until = clock_timestamp() - interval '1 s' WHERE state = :state"),
                    {"state": state},
                )
        time.sleep(chance.uniform(0.02, 0.5))
    return 0


def crash(point: str, stack: Stack, chance: random.Random, _: Load) -> int:
    """Let one more process work until it dies at a crash point; 0 if it does not come there."""
    armed = f"{point}:{chance.choice((1, 1, 2, 5))}" if point in (*crashpoints.API, *crashpoints.GRADE) else point
    # Beat alone may in step with Redis choose the other worker every time.
    messages: list[Message] = [(queues.SWEEP_TASK, {}, queues.MAINTENANCE)] if point in crashpoints.SWEEP else []
    if point in (*crashpoints.API, *crashpoints.CHANGE):
        doomed = stack.doomed_api(armed)
    elif point in crashpoints.SWEEP:
        doomed = stack.doomed_worker(armed, queues.MAINTENANCE)
    elif point in (*crashpoints.REFIT, "flags-before-commit"):
        doomed = stack.doomed_worker(armed, queues.REFIT)
    else:
        doomed = stack.doomed_worker(armed, *queues.LANES)
    with doomed as died:
        return int(_dies(died, stack, messages, PATIENCE))


def crash_in_quiet(point: str, stack: Stack, _: random.Random, load: Load) -> int:
    """Likewise at a point to which somebody comes only when no answers come in: the load pauses, again and again.

    Whoever could be there before the doomed process stands still; over when all is ready again.
    """
    if point in crashpoints.LEARN:
        names, lanes = ["worker-refit"], (queues.REFIT,)
        messages: list[Message] = [(queues.LEARN_TASK, {"project": load.project_id}, queues.REFIT)]
    else:
        names, lanes = _graders(stack), queues.LANES
        messages = []  # the sweep says it
    with load.unstirred(), _replaced(stack, names), stack.doomed_worker(point, *lanes) as died:
        over = time.monotonic() + QUIET_PATIENCE
        while not died() and time.monotonic() < over:
            with contextlib.suppress(BrokenError):
                until(lambda: died() or _to_be_done(point, stack, load.project_id), "something to do", PATIENCE)
            with load.paused():
                _dies(died, stack, messages, QUIET)
        reached = died()
    until(stack.whole, "all to be ready")
    return int(reached)


def _to_be_done(point: str, stack: Stack, project: int) -> bool:
    """Whether in quiet a lesson would be due, or somebody be paid."""
    with stack.engine.connect() as connection:
        if point in crashpoints.DEBT:
            return owed.owes(connection, project)
        progress = populations.progress(connection, project)
        return population.due(progress.answers, progress.known, idle=True)


def _dies(died: Callable[[], bool], stack: Stack, messages: Collection[Message], limit: float) -> bool:
    """Whether a doomed process dies in time; messages that may lead it there are sent again and again."""
    over = time.monotonic() + limit
    while not died() and time.monotonic() < over:
        _send(stack, messages, expires=10)
        time.sleep(0.2)
    return died()


def _send(stack: Stack, messages: Collection[Message], *, expires: float) -> None:
    """Send messages, or lose them while Valkey is away."""
    if not messages:
        return
    app = make_app(stack.settings)
    with contextlib.suppress(OperationalError), app.connection_for_write() as connection:
        for task, arguments, queue in messages:
            app.send_task(task, kwargs=arguments, queue=queue, connection=connection, expires=expires)


STRIKES: dict[str, Strike] = {
    "api": Strike(api, 3),
    "worker": Strike(worker, 4),
    "refit": Strike(refit, 2),
    "maintenance": Strike(maintenance),
    "beat": Strike(beat),
    "supervisor": Strike(supervisor, 2),
    "valkey": Strike(valkey, 2),
    "postgres": Strike(postgres, 2),
    "postgres-backend": Strike(postgres_backend),
    "storm": Strike(storm),
    "stop-worker": Strike(stop_worker),
    "stop-valkey": Strike(stop_valkey, joined=True),
    "stop-postgres": Strike(stop_postgres, joined=True),
    FULL_DISK: Strike(full_disk, 2, joined=True),
    "flush": Strike(flush),
    "triple": Strike(triple),
    "clock": Strike(clock),
    **{point: Strike(partial(crash, point), joined=True) for point in POINTS if point not in IN_QUIET},
    **{point: Strike(partial(crash_in_quiet, point)) for point in POINTS if point in IN_QUIET},
}


@contextlib.contextmanager
def beside(stack: Stack, chance: random.Random) -> Iterator[int]:
    """Kill an API process, a worker or beat at a moment of chance while the block goes on, or right after it; yields
    how many that will be. The block ends once it is started again."""
    name = chance.choice([name for name in stack.processes if name.startswith(("api", "beat", "worker-"))])
    moment = chance.uniform(0, SOON)
    over = threading.Event()

    def kill() -> None:
        over.wait(moment)
        stack.kill(name)

    with ThreadPoolExecutor(1) as thread:
        killed = thread.submit(kill)
        try:
            yield 1
        finally:
            over.set()
        killed.result()


def deck(chance: random.Random, kinds: list[str]) -> Iterator[str]:
    """Kinds without end, each in its share, in an order of chance."""
    while True:
        cards = [kind for kind in kinds for _ in range(STRIKES[kind].share)]
        chance.shuffle(cards)
        yield from cards


def _graders(stack: Stack) -> list[str]:
    """Names of the live and bulk workers."""
    return [name for name in stack.processes if name.removeprefix("worker-").isdigit()]


@contextlib.contextmanager
def _replaced(stack: Stack, names: list[str]) -> Iterator[None]:
    """Parts end in order; those that are started for them, and hold nothing yet, stand still inside the block."""
    with contextlib.ExitStack() as left:
        for name in names:
            stack.kill(name, signal.SIGTERM)
            left.enter_context(_stopped(psutil.Process(stack.pid(name))))
        yield


@contextlib.contextmanager
def _stopped(*processes: psutil.Process) -> Iterator[None]:
    """Processes do not run inside the block, and go on after it."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in reversed(processes):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
