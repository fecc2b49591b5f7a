"""TCP ports on loopback."""

import fcntl
import random
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import IO

# Below where systems take the ports of outgoing connections, so that a restarted server finds its own port free.
_RANGE = range(20_000, 30_000)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which a server could listen now. Another process may still be faster: callers try again."""
    chosen = random.SystemRandom()
    while True:
        port = chosen.choice(_RANGE)
        if is_free(port, host):
            return port


@contextmanager
def reserved(port: int, host: str = "127.0.0.1") -> Iterator[int]:
    """`port` itself if it is free, else another; no other stack on this machine takes it inside the block.

    Between the choice of a port and the moment a server listens on it lie seconds. A lock on a file tells other stacks.
    """
    while True:
        if port and is_free(port, host) and (lock := _lock(port)) is not None:
            break
        port = free_port(host)
    with lock:
        yield port


def _lock(port: int) -> IO[bytes] | None:
    """The file that stands for a port, locked until it is closed; None while another process holds it."""
    folder = Path(gettempdir()) / "touchstone-ports"
    if not folder.exists():
        with suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(0o1777)  # every user's stacks meet here
    path = folder / str(port)
    with suppress(PermissionError):  # another user's: it can still be locked
        path.touch()
    file = path.open("rb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
