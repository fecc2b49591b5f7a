"""The directory of one stack: what lies where, and who holds it."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import CliError
from cli.stack.secret import write_private
from config.settings import STACK_FILE


@dataclass(frozen=True)
class Home:
    """Paths below an absolute directory."""

    path: Path

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def api_key(self) -> Path:
        return self.path / "api-key"

    @property
    def flower_password(self) -> Path:
        return self.path / "flower-password"

    @property
    def note(self) -> Path:
        """What `config.settings` and other programs read while the stack runs."""
        return self.path / STACK_FILE

    def log(self, name: str) -> Path:
        """The log of a process."""
        return self.path / "logs" / f"{name}.log"

    def stamp(self, name: str) -> Path:
        """The file that a process touches as it gets on."""
        return self.path / "run" / f"{name}.stamp"

    def write_note(self, *, ready: bool, settings: Mapping[str, object], processes: Mapping[str, int]) -> None:
        """Say what runs here: whether all of it is up, the settings to reach it, and the process ids by name."""
        note = {"pid": os.getpid(), "ready": ready, "settings": dict(settings), "processes": dict(processes)}
        write_private(self.note, json.dumps(note, indent=1))

    def read_note(self) -> dict[str, Any]:
        """What :meth:`write_note` wrote; empty when no stack runs."""
        with suppress(OSError, ValueError):
            note = json.loads(self.note.read_text())
            if isinstance(note, dict):
                return note
        return {}


@contextmanager
def held(path: Path) -> Iterator[Home]:
    """Hold the directory for this process, making it first; the kernel lets go of it when the process ends, however.

    Raises:
        CliError: another process holds it.
    """
    home = Home(path.resolve())
    try:
        (home.path / "run").mkdir(parents=True, exist_ok=True)
        lock = os.open(home.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CliError(f"{home.path}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode() or "unknown"
        os.close(lock)
        raise CliError(
            f"a stack runs in {home.path} already (process {holder}): stop it, or set TOUCHSTONE_HOME"
        ) from None
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        home.note.unlink(missing_ok=True)  # a killed predecessor's
        yield home
    finally:
        home.note.unlink(missing_ok=True)
        os.close(lock)
