"""A program run as a direct child that does not outlive this process, whatever ends it.

On Linux the kernel signals the child when its parent dies (`PR_SET_PDEATHSIG`), kill -9 included. Elsewhere a killed
parent leaves its children running until the next start on the same directory: see :mod:`cli.stack.leftovers`.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cli.stack import launch
from cli.stack.account import Account
from config.environment import inherited

OWNER = "TOUCHSTONE_OWNER"

_LOG_LIMIT = 32 * 1024 * 1024


@dataclass(frozen=True)
class Program:
    """What to run and how it is to end.

    Args:
        command: the first word is an absolute path.
        owner: the directory it works for; marks the process so that a later start there recognises it.
        stop_signal: asks it to stop in order; `patience` seconds later it is killed.
        death_signal: what the kernel sends it when this process dies.
        account: whom it runs as; None: as this process.
    """

    name: str
    command: Sequence[str]
    owner: Path
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGTERM
    patience: float = 10.0
    account: Account | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """One run of a program, in a process group of its own."""

    def __init__(self, program: Program) -> None:
        """Start it. To be called from a thread that lives as long as the child: the kernel watches that thread."""
        self.program = program
        uid, gid = (program.account.uid, program.account.gid) if program.account else (0, 0)
        launcher = [sys.executable, "-I", "-S", launch.__file__]
        words = [os.getpid(), int(program.death_signal), uid, gid]
        with _opened(program.log) as log:
            self._process = subprocess.Popen(
                [*launcher, *map(str, words), *program.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=inherited(**{OWNER: str(program.owner)}, **program.environment),
                cwd="/" if program.account else None,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit status, minus the signal if one ended it; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send one signal, if it still runs."""
        self._process.send_signal(number)

    def ask_to_stop(self) -> None:
        """Send it its stop signal and return at once."""
        self.signal(self.program.stop_signal)

    def wait(self, limit: float) -> int | None:
        """The exit status, waiting for it at most `limit` seconds; None if it still runs then."""
        try:
            return self._process.wait(max(0.0, limit))
        except subprocess.TimeoutExpired:
            return None

    def finish(self, deadline: float) -> None:
        """Wait until the deadline (of the monotonic clock), then end by force what is left of it."""
        self.wait(deadline - time.monotonic())
        self.kill()

    def stop(self) -> None:
        """End it in order, or by force when its patience is over; nothing of its group is left."""
        self.ask_to_stop()
        self.finish(time.monotonic() + self.program.patience)

    def kill(self) -> None:
        """kill -9 it and all that is left of its process group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def shorten(log: Path) -> None:
    """Begin a log anew when it has become long, beside a copy of it; whoever writes it goes on.

    What is written meanwhile is lost, and all of it where there is no room for a copy.
    """
    if not log.exists() or log.stat().st_size <= _LOG_LIMIT:
        return
    with suppress(OSError):
        shutil.copyfile(log, log.with_suffix(".1.log"))
    os.truncate(log, 0)


def _opened(log: Path) -> BinaryIO:
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shorten(log)
    return log.open("ab")
