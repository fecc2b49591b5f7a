"""What the API's `/metrics` says: of this process, or of all that serve one port together.

Whichever of several is asked must answer for all: each keeps what it counts in files of a directory that they share,
where it stays when a process has gone ("Multiprocess Mode" in prometheus-client's documentation).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""What prometheus-client reads when it is imported."""


@contextmanager
def together() -> Iterator[None]:
    """Processes that are started meanwhile count together, in the directory that the environment names or in a new one.

    One that is named is whoever's who named it, and has to be empty.
    """
    if os.environ.get(DIRECTORY):
        yield
        return
    with TemporaryDirectory(prefix="touchstone-metrics-", dir=_memory()) as directory:
        os.environ[DIRECTORY] = directory
        try:
            yield
        finally:
            del os.environ[DIRECTORY]


def _memory() -> Path | None:
    """Where files are kept in memory, if there is such a place: on a full disk to count would end a process."""
    place = Path("/dev/shm")  # noqa: S108 - what is made in it has a name that nobody can foresee
    return place if os.access(place, os.W_OK | os.X_OK) else None


def latest() -> bytes:
    """Everything, in Prometheus's text format."""
    directory = os.environ.get(DIRECTORY)
    if not directory:
        return generate_latest()
    for gauge in Path(directory).glob("gauge_live*_*.db"):
        process = int(gauge.stem.rpartition("_")[2])
        if not _lives(process):
            mark_process_dead(process, directory)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        pass
    return True
