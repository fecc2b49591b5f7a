"""Processes as a test sees them."""

import psutil


def runs(process: psutil.Process) -> bool:
    """Whether it does; one that has ended and that nobody has asked for its status does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
