"""A database server from a wheel: a real server, run as a direct child, on loopback."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.errors import CliError
from cli.stack.child import Child, Program
from cli.stack.leftovers import end_leftovers
from cli.stack.ports import free_port, is_free
from telemetry.logging import get

log = get(__name__)

_POLL = 0.02
_START_LIMIT = 60.0  # unless it recovers from a crash, which takes as long as there is log to be replayed
_ATTEMPTS = 10
_END = 1 << 16  # bytes of a log in which its last line is looked for
_PAUSE = 0.1  # longer each time: a killed server's own children may still hold its directory


Prepare = Callable[[Path, Path, Path], "Server"]
"""Says how to run a server, from its directory, the owner of its processes, and its log."""


class Server:
    """A server that can be started, ended and started again at the same address.

    Args:
        program: makes the program that listens on a given port.
        url: makes the URL for a given port.
        probe: whether the server at a URL answers.
        stuck: whether the process of this id, as it looks now, will never serve anybody.
        recovers: whether it is on its way to that, however long it takes.
    """

    def __init__(
        self,
        program: Callable[[int], Program],
        url: Callable[[int], str],
        probe: Callable[[str], bool],
        stuck: Callable[[int], bool] | None = None,
        recovers: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._program = program
        self._url = url
        self._probe = probe
        self.stuck = stuck
        self._recovers = recovers
        self._port = free_port()
        self._child: Child | None = None

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        """Where clients find it, the password included."""
        return self._url(self._port)

    @property
    def program(self) -> Program:
        return self._program(self._port)

    @property
    def child(self) -> Child:
        if self._child is None:
            raise RuntimeError("the server was not started")
        return self._child

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        return self._probe(self.url)

    def start(self, *, moving: bool = False) -> None:
        """Run it and wait until it answers.

        Args:
            moving: take another port when this one is busy; else the address is kept and the port waited for.

        Raises:
            CliError: it did not come up; the message names its log.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            if moving and not is_free(self._port):
                self._port = free_port()
            self._child = Child(self.program)
            if self._came_up(self._child):
                return
            self._child.kill()
            time.sleep(attempt * _PAUSE)
        said = self.program.log
        raise CliError(f"{self.program.name} did not start on port {self._port}: {last_line(said)} (see {said})")

    def _came_up(self, child: Child) -> bool:
        began = time.monotonic()
        limit = _START_LIMIT
        while child.wait(_POLL) is None:
            if self.ready:
                return True
            if time.monotonic() - began > limit:
                if not self._recovers(child.pid):
                    return False
                limit += _START_LIMIT
                log.warning("still recovers from a crash", process=child.program.name)
        return False

    def stop(self) -> None:
        """End it in order, if it was started."""
        if self._child:
            self._child.stop()

    def kill(self) -> None:
        """kill -9."""
        self.child.kill()

    def restart(self) -> None:
        """End it in order and start it again, at the same address."""
        self.stop()
        self.start()


@contextmanager
def embedded(prepare: Prepare, directory: Path, log: str) -> Iterator[Server]:
    """A server with all that it keeps under `directory`, running inside the block.

    Raises:
        CliError: it did not come up.
    """
    directory = directory.resolve()
    end_leftovers(directory)
    server = prepare(directory, directory, directory / log)
    try:
        server.start(moving=True)
        yield server
    finally:
        server.stop()


def last_line(log: Path) -> str:
    """What a log says last, in one line for an error message; of a structured line its event."""
    try:
        with log.open("rb") as end:
            end.seek(max(0, log.stat().st_size - _END))
            lines = end.read(_END).decode(errors="replace").splitlines()
    except OSError:
        return ""
    line = next((line.strip() for line in reversed(lines) if line.strip()), "")
    try:
        return str(json.loads(line)["event"])
    except (ValueError, KeyError, TypeError):
        return line
