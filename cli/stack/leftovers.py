"""What a killed predecessor left running on a directory."""

import signal
from contextlib import suppress
from pathlib import Path

import psutil

from cli.stack.child import OWNER

_PATIENCE = 15.0
_SERVERS = {"postgres", "valkey-server"}


def end_leftovers(owner: Path) -> list[int]:
    """End every process that was started for `owner`, in order or after a while by force; the ids of those found.

    The caller holds the directory, so whatever still runs there is an orphan. It is known by the mark that
    :class:`cli.stack.child.Child` puts in its environment or by its arguments, never by its id alone.
    """
    ourselves = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    found = [
        process for process in psutil.process_iter() if process.pid not in ourselves and _belongs(process, str(owner))
    ]
    ids = {process.pid for process in found}
    for process in found:
        with suppress(psutil.NoSuchProcess):
            if process.ppid() not in ids:
                process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown, and an orderly end to all the others
                process.resume()
    _, stubborn = psutil.wait_procs(found, timeout=_PATIENCE)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=_PATIENCE)
    return sorted(ids)


def _belongs(process: psutil.Process, owner: str) -> bool:
    try:
        return process.environ().get(OWNER) == owner
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
    except (psutil.AccessDenied, OSError):
        return _serves(process, owner)


def _serves(process: psutil.Process, owner: str) -> bool:
    """A server under another account hides its environment, even from root in a container, but not its arguments."""
    try:
        program, *arguments = process.cmdline() or [""]
    except (psutil.Error, OSError):
        return False
    return Path(program).name in _SERVERS and any(argument.startswith(f"{owner}/") for argument in arguments)
