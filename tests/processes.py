"""Processes as a test sees them, and what befalls them."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from cli.stack.server import Server


def runs(process: psutil.Process) -> bool:
    """Whether it does; one that has ended and that nobody has asked for its status does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """A server is not there."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def hanging(server: Server) -> Iterator[None]:
    """Every process of the server keeps its sockets open and says nothing."""
    pids = [server.pid, *(child.pid for child in psutil.Process(server.pid).children(recursive=True))]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
