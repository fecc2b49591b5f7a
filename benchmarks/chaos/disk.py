"""A file system of its own for Postgres, so small that it can be filled: in memory, mounted by root."""

import contextlib
import io
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

LEAST = 256
"""MB that an empty stack and a moment of load need."""
_CHUNK = 2**20
_TOP_UP = 0.02
"""Seconds after which what somebody has given back is taken, too."""


class UnmountableError(Exception):
    """Nothing can be mounted here; the message says why."""


@contextlib.contextmanager
def mounted(directory: Path, size: int) -> Iterator[None]:
    """The directory is a file system of so many MB inside the block, and empty after it.

    Raises:
        UnmountableError: we are not root or may not mount, or something lies there already.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise UnmountableError(f"{directory} is not empty")
    _run("mount", "-t", "tmpfs", "-o", f"size={size}m,mode=0755", "tmpfs", str(directory))
    try:
        yield
    finally:
        _run("umount", "--lazy", str(directory))


@contextlib.contextmanager
def full(directory: Path) -> Iterator[None]:
    """Not a byte is left on the file system inside the block, whatever others give back; what was taken is free after.

    Raises:
        ValueError: it is no file system of its own: we will not fill anybody else's.
    """
    if not directory.is_mount():
        raise ValueError(f"{directory} is no file system of its own")
    ballast = directory / "ballast"
    over = threading.Event()
    with ballast.open("ab", buffering=0) as file:

        def keep() -> None:
            while not over.wait(_TOP_UP):
                _fill(file)

        _fill(file)
        keeper = threading.Thread(target=keep, name="ballast", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()
            ballast.unlink()


def _fill(file: io.FileIO) -> None:
    size = _CHUNK
    while size:
        try:
            file.write(bytes(size))
        except OSError:  # no room for so much
            size //= 16


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UnmountableError(str(error)) from None
    if done.returncode:
        raise UnmountableError((done.stderr.strip().splitlines() or [f"{command[0]} failed"])[-1])
