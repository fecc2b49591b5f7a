"""The stack under fire: `touchstone up` as a user starts it, on a home of its own, and what can be done to it."""

import contextlib
import math
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import psutil
from sqlalchemy import Engine

from cli.stack.home import Home
from cli.stack.ports import free_port
from cli.stack.services import TOUCHSTONE, answering
from config.environment import inherited
from config.settings import Settings, load
from db.engine import make_engine

LIMIT = 120.0
"""Seconds after which the harness gives up waiting: the stack is then broken."""


class BrokenError(Exception):
    """The stack did not come back; the message says what was waited for."""


def until(condition: Callable[[], object], what: str, limit: float = LIMIT) -> None:
    """Wait for it.

    Raises:
        BrokenError: it did not come true in time.
    """
    give_up = time.monotonic() + limit
    while not condition():
        if time.monotonic() > give_up:
            raise BrokenError(f"not within {limit:.0f} s: {what}")
        time.sleep(0.02)


class Stack:
    """One stack, which can be killed and started again; its data stays."""

    def __init__(self, home: Path, **settings: object) -> None:
        self._home = Home(home.resolve())
        self._given = {f"TOUCHSTONE_{name.upper()}": str(value) for name, value in settings.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._more: list[subprocess.Popen[bytes]] = []
        self._urls: list[str] = []
        self._engine: tuple[str, Engine] | None = None
        self._port = free_port()

    def start(self) -> None:
        """Run it and wait until all of it is ready."""
        self._home.note.unlink(missing_ok=True)  # a killed predecessor's
        self._process = self._run("up", "up", "--port", str(self._port))
        until(lambda: self._note.get("ready") or self._process_ended, "a stack that is ready")
        if self._process_ended:
            raise BrokenError(f"the stack did not start: {self.log('up').read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """End all of it in order."""
        for process in (*self._more, self._process):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                process.wait(60)
        if self._engine:
            self._engine[1].dispose()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def settings(self) -> Settings:
        """Settings of whoever works with the running stack."""
        return load(home=self._home.path)

    @property
    def key(self) -> str:
        """An API key with every scope."""
        return self._home.api_key.read_text().strip()

    @property
    def urls(self) -> list[str]:
        """Base URLs of every API process that serves it; empty while it is down."""
        own = self._note.get("settings", {}).get("api_url")
        return [*([str(own)] if own else []), *self._urls]

    @property
    def engine(self) -> Engine:
        """An engine on its database, wherever that listens now."""
        url = self.settings.require_database_url()
        if self._engine is None or self._engine[0] != url:
            if self._engine:
                self._engine[1].dispose()
            self._engine = url, make_engine(url, pool_size=3, name="chaos")
        return self._engine[1]

    @property
    def database(self) -> Path:
        """The directory with all that its Postgres keeps."""
        return self._home.postgres

    @property
    def supervisor(self) -> int:
        """Process id of `touchstone up`."""
        assert self._process is not None
        return self._process.pid

    @property
    def processes(self) -> Mapping[str, int]:
        """Process ids by name, as the supervisor has them."""
        return dict(self._note.get("processes", {}))

    def pid(self, name: str) -> int:
        """The process id of a part that runs."""
        until(lambda: psutil.pid_exists(self.processes.get(name, -1)), f"{name} to run")
        return self.processes[name]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a part a signal that ends it; returns once the supervisor has started it again."""
        pid = self.pid(name)
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).send_signal(number)
        until(lambda: self.processes.get(name, pid) != pid, f"{name} to be started again")

    def kill_child(self, name: str) -> None:
        """kill -9 the process in which a part does its work; returns once the part has another."""
        parent = self.pid(name)
        before = _pool(parent)
        for child in before:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        until(lambda: _pool(parent) - before or self.processes[name] != parent, f"{name} to have a child again")

    def kill_supervisor(self) -> None:
        """kill -9 `touchstone up`, on which the kernel ends its parts, and start it again."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.start()

    def whole(self) -> bool:
        """Whether every part is at work: the API answers, and each worker has stamped since it was started."""
        for name, pid in self.processes.items():
            if not psutil.pid_exists(pid):
                return False
            stamp = self._home.stamp(name)
            if name.startswith("worker-") and not (stamp.exists() and stamp.stat().st_mtime > _began(pid)):
                return False
        settings = self.settings
        return answering(settings.host, settings.port, "/readyz")()

    @contextlib.contextmanager
    def doomed(self, point: str, *arguments: str) -> Iterator[Callable[[], bool]]:
        """One more process of `touchstone ARGUMENTS` that dies at a crash point; yields whether it has.

        Its parts are ended after the block, at the latest.
        """
        log = self.log(f"doomed-{point.replace(':', '-')}")
        log.unlink(missing_ok=True)
        process = self._run(log.stem, *arguments, TOUCHSTONE_CRASH_POINT=point)
        self._more.append(process)
        try:
            yield lambda: b'"crash point"' in log.read_bytes()
        finally:
            family = [process.pid, *(child.pid for child in _children(process.pid))]
            for pid in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()
            process.wait()
            self._more.remove(process)

    @contextlib.contextmanager
    def doomed_api(self, point: str) -> Iterator[Callable[[], bool]]:
        """One more API process that dies at a crash point; it is among `urls` from when it is ready."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with self.doomed(point, "serve", "--port", str(port), "--processes", "1") as died:
            until(answering("127.0.0.1", port, "/readyz"), "one more API process")
            self._urls.append(url)
            try:
                yield died
            finally:
                self._urls.remove(url)

    @contextlib.contextmanager
    def doomed_worker(self, point: str, *lanes: str) -> Iterator[Callable[[], bool]]:
        """One more worker of these lanes that dies at a crash point; it works from the beginning of the block."""
        stamp = self._home.stamp("doomed")
        stamp.unlink(missing_ok=True)
        options = [word for lane in lanes for word in ("--lane", lane)]
        with self.doomed(point, "worker", *options, "--name", "doomed", "--stamp", str(stamp)) as died:
            until(lambda: stamp.exists() or died(), "one more worker")
            yield died

    def log(self, name: str) -> Path:
        """The log of a part."""
        return self._home.log(name)

    @property
    def _note(self) -> dict[str, Any]:
        return self._home.read_note()

    @property
    def _process_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _run(self, name: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        environment = {"TOUCHSTONE_HOME": str(self._home.path), "TOUCHSTONE_LOG_FORMAT": "json", **self._given, **more}
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            return subprocess.Popen(
                [*TOUCHSTONE, *arguments],
                env=inherited(**environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def _pool(pid: int) -> set[psutil.Process]:
    """The processes in which a worker runs its tasks."""
    found = set()
    for child in _children(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(child.cmdline()):
                found.add(child)
    return found


def _began(pid: int) -> float:
    """When a process began; never, if it is gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return math.inf


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
