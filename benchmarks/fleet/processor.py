"""Whose processor time a run took: our processes by role, and everybody else's."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Self

import psutil

BENCHMARK = "benchmark"
LOAD = "load"
POSTGRES = "postgres"
OTHERS = "others"
_OURS = "touchstone-"
_PERIOD = 1.0
_CORES_DIGITS = 3


@dataclass(slots=True)
class _Seen:
    role: str
    before: float
    now: float


@dataclass(slots=True)
class Processor:
    """Samples once a second inside its block.

    Args:
        processes: process ids of the stack by name, at the moment of asking.
        clients: whom the backends of Postgres serve (`application_name`), by process id, at the moment of asking.
    """

    processes: Callable[[], Mapping[str, int]]
    clients: Callable[[], Mapping[int, str]] = dict
    resident: dict[str, list[float]] = field(default_factory=dict)
    """MB of resident memory by role, sample by sample; of several processes the sum."""
    seconds: float = 0.0

    _seen: dict[int, _Seen] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _began: float = 0.0
    _busy: float = 0.0
    _stolen: float = 0.0

    def __enter__(self) -> Self:
        self._look(first=True)
        self._busy, self._stolen = _machine()
        self._began = monotonic()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()
        self._look()
        self.seconds = monotonic() - self._began
        busy, stolen = _machine()
        self._busy, self._stolen = busy - self._busy, stolen - self._stolen

    @property
    def cores(self) -> dict[str, float]:
        """Cores busy on average by role, largest first."""
        spent: dict[str, float] = {}
        for seen in self._seen.values():
            spent[seen.role] = spent.get(seen.role, 0.0) + seen.now - seen.before
        ordered = sorted(spent.items(), key=lambda pair: -pair[1])
        return {role: round(time / self.seconds, _CORES_DIGITS) for role, time in ordered}

    @property
    def foreign(self) -> float:
        """Cores that other jobs took on average, and that the host did not give."""
        ours = sum(seen.now - seen.before for seen in self._seen.values())
        return round(max(0.0, self._busy - ours + self._stolen) / self.seconds, _CORES_DIGITS)

    def _watch(self) -> None:
        while not self._stop.wait(_PERIOD):
            self._look()

    def _look(self, *, first: bool = False) -> None:
        names = {pid: name for name, pid in self.processes().items()}
        resident: dict[str, float] = {}
        me = psutil.Process()
        family = (me, *me.children(recursive=True))
        clients = self.clients() if any(process.pid not in self._seen for process in family) else {}
        for process in family:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                spent = times.user + times.system
                seen = self._seen.get(process.pid)
                if seen is None:
                    role = _role(process, names, clients, me.pid)
                    seen = self._seen[process.pid] = _Seen(role, spent if first else 0.0, spent)
                seen.now = spent
                resident[seen.role] = resident.get(seen.role, 0.0) + process.memory_info().rss / 2**20
        for role, size in resident.items():
            self.resident.setdefault(role, []).append(size)


def _role(process: psutil.Process, names: Mapping[int, str], clients: Mapping[int, str], benchmark: int) -> str:
    """The name of the nearest ancestor that has one; of a backend of Postgres whom it serves."""
    if process.pid == benchmark:
        return BENCHMARK
    for ancestor in (process, *process.parents()):
        name = names.get(ancestor.pid)
        if name == POSTGRES:
            title = (process.cmdline() or [""])[0]
            if "touchstone" in title and "(" in title:
                return f"{POSTGRES} for {_client(clients.get(process.pid, ''))}"
            return f"{POSTGRES} itself"
        if name is not None:
            return name
        if ancestor.pid == benchmark:
            break
    return LOAD


def _client(application: str) -> str:
    """Which part of the stack connects under this name."""
    return application.removeprefix(_OURS) if application.startswith(_OURS) else OTHERS


def _machine() -> tuple[float, float]:
    """Seconds that all cores were busy with processes, and that the host kept for others, since boot."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system, getattr(times, "steal", 0.0)
