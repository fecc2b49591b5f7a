"""Keeps a set of programs running: restarts what dies or stands still, and stops all in order."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from cli.errors import CliError
from cli.stack.child import Child, Program, shorten
from cli.stack.server import last_line
from telemetry.logging import get

_POLL = 0.1
_FIRST_DELAY = 0.25
_LAST_DELAY = 10.0
_HOPELESS = 4  # deaths in a row after which a start is given up
_STEADY = 60.0  # a child that lived this long starts again with the first delay
_WARM_UP = 120.0  # until the first stamp: imports take their time on a busy machine
_CHECK = 2.0  # between two looks whether a program is stuck
_STUCK = 10.0  # for so long: between two states a program may look as if it were
_SUSPENDED = 5.0  # a gap between two looks that says the machine slept, and everyone's stamp with it

log = get(__name__)


class Tier(IntEnum):
    """In this order programs stop: first whoever takes work in, last whom all the others need."""

    EDGE = 0
    WORKERS = 1
    SERVERS = 2


@dataclass(frozen=True)
class Service:
    """A program to keep running.

    Args:
        ready: whether it does its work by now; None: as soon as it runs.
        stamp: a file that it touches as long as it gets on.
        stuck: whether the process of this id, as it looks now, will never do its work.
    """

    program: Program
    tier: Tier
    ready: Callable[[], bool] | None = None
    stamp: Path | None = None
    stuck: Callable[[int], bool] | None = None


class _Run:
    """A service, its current child, and when it is due again."""

    def __init__(self, service: Service, child: Child) -> None:
        self.service = service
        self.failures = 0
        self.began(child)

    def began(self, child: Child) -> None:
        self.child = child
        self.started = time.time()
        self.due: float | None = None
        self.checked = self.started
        self.stuck_since: float | None = None

    @property
    def delay(self) -> float:
        """Seconds until it is started again after so many failures."""
        return min(_FIRST_DELAY * 2 ** (self.failures - 1), _LAST_DELAY)

    def is_stuck(self, now: float) -> bool:
        """Whether it has been stuck for a while."""
        if self.service.stuck is None or now - self.checked < _CHECK:
            return False
        self.checked = now
        if not self.service.stuck(self.child.pid):
            self.stuck_since = None
        elif self.stuck_since is None:
            self.stuck_since = now
        return self.stuck_since is not None and now - self.stuck_since > _STUCK

    def last_sign(self) -> float:
        """When it was last seen to get on, as seconds of the clock that stamps files."""
        stamp = self.service.stamp
        stamped = stamp.stat().st_mtime if stamp and stamp.exists() else 0.0
        return stamped if stamped > self.started else self.started + _WARM_UP


class Supervisor:
    """The services that run now.

    Args:
        stall: age in seconds at which a stamp means that its process stands still.
        changed: told the process ids by name whenever one changes.
    """

    def __init__(self, stall: float, changed: Callable[[Mapping[str, int]], None] = lambda _: None) -> None:
        self._stall = stall
        self._changed = changed
        self._runs: dict[str, _Run] = {}
        self._told: Mapping[str, int] = {}
        """What `changed` was told last."""
        self._looked = self._awake_since = self._shortened = time.time()
        self._hindered_until = 0.0

    @property
    def processes(self) -> dict[str, int]:
        """Process ids by name."""
        return {name: run.child.pid for name, run in self._runs.items()}

    def adopt(self, service: Service, child: Child) -> None:
        """Take over a child that runs already."""
        self._runs[service.program.name] = _Run(service, child)
        self._tell()

    def start(self, services: Iterable[Service], limit: float = 120.0) -> None:
        """Run the services and wait until each is ready.

        Raises:
            CliError: one is not ready in time, or dies again and again; the message names its log.
        """
        waiting = list(services)
        for service in waiting:
            if service.stamp:
                service.stamp.unlink(missing_ok=True)
            self.adopt(service, Child(service.program))
        deadline = time.monotonic() + limit
        while waiting:
            self.look()
            waiting = [service for service in waiting if service.ready and not service.ready()]
            for service in waiting:
                program = service.program
                if self._runs[program.name].failures == _HOPELESS or time.monotonic() > deadline:
                    raise CliError(f"{program.name} did not start: {last_line(program.log)} (see {program.log})")
            time.sleep(_POLL)

    def watch(self) -> None:
        """Keep them running until an exception ends the wait, as Ctrl-C does."""
        while True:
            self.look()
            time.sleep(_POLL)

    def look(self) -> None:
        """End what stands still, note what died, start what is due again."""
        now = time.time()
        if now - self._looked > _SUSPENDED:
            self._awake_since = now
        self._looked = now
        for run in self._runs.values():
            if run.child.alive and (self._stands_still(run, now) or run.is_stuck(now)):
                log.warning("stands still", process=run.service.program.name, pid=run.child.pid)
                run.child.kill()
            if run.due is None and not run.child.alive:
                self._note_death(run, now)
            if run.due is not None and now >= run.due:
                self._start_again(run, now)
        if now >= self._hindered_until:
            self._keep_house(now)

    def stop(self) -> None:
        """Stop all, tier by tier, all of a tier at once; none is left."""
        for tier in Tier:
            children = [run.child for run in self._runs.values() if run.service.tier == tier]
            for child in children:
                child.ask_to_stop()
            asked = time.monotonic()
            for child in children:
                child.finish(asked + child.program.patience)
        self._runs.clear()

    def _stands_still(self, run: _Run, now: float) -> bool:
        return run.service.stamp is not None and now - max(run.last_sign(), self._awake_since) > self._stall

    def _keep_house(self, now: float) -> None:
        """Tell of new processes, and shorten logs. There may be no room for it: then that waits, and all goes on."""
        try:
            self._tell()
            if now - self._shortened > _CHECK:
                self._shortened = now
                for run in self._runs.values():
                    shorten(run.service.program.log)
        except OSError as error:
            self._hindered_until = now + _CHECK
            log.warning("cannot keep house", error=str(error))

    def _tell(self) -> None:
        processes = self.processes
        if processes != self._told:
            self._changed(processes)
            self._told = processes

    def _start_again(self, run: _Run, now: float) -> None:
        program = run.service.program
        try:
            run.began(Child(program))
        except OSError as error:  # no room for its log, or no process to be had
            run.failures += 1
            run.due = now + run.delay
            log.warning("not started", process=program.name, again_in=run.delay, error=str(error))

    def _note_death(self, run: _Run, now: float) -> None:
        run.child.kill()  # what is left of its group
        run.failures = 1 if now - run.started > _STEADY else run.failures + 1
        delay = run.delay
        run.due = now + delay
        program = run.service.program
        log.warning(
            "died", process=program.name, status=run.child.returncode, again_in=delay, said=last_line(program.log)
        )
