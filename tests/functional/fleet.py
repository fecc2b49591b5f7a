"""A fleet of real processes of the console script, started and killed by tests."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx

from cli.stack.ports import free_port
from config.settings import Settings
from tests.waiting import until

CHECKOUT = Path(__file__).parents[2]


class Process:
    """One process of `touchstone`, with its log in a file."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        self.node = ""
        """What Celery calls it, if it is a worker."""
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *arguments],
                cwd=CHECKOUT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def said(self, words: str) -> bool:
        """Whether the log holds these words."""
        return words in self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this very process."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)
        self._popen.wait()

    def ask(self) -> None:
        """Ask it to end."""
        if self.running:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)

    def end(self) -> None:
        """End it in order; with force if it does not listen."""
        self.ask()
        self.see_off()

    def see_off(self) -> None:
        """Wait until it has ended, as it was asked to; with force if it does not listen."""
        try:
            self._popen.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


class Fleet:
    """Processes that share one environment; all are ended when the fleet is left."""

    def __init__(self, settings: Settings, directory: Path, **overrides: object) -> None:
        self._directory = directory
        self._processes: list[Process] = []
        self._environment = {
            **os.environ,
            "DATABASE_URL": str(overrides.pop("database_url", settings.require_database_url())),
            "REDIS_URL": settings.require_redis_url(),
            "TOUCHSTONE_HOME": str(settings.home),
            "TOUCHSTONE_LOG_FORMAT": "json",
            **{f"TOUCHSTONE_{name.upper()}": str(value) for name, value in overrides.items()},
        }

    def start(self, *arguments: str) -> Process:
        """Start `touchstone ARGUMENTS...`."""
        log = self._directory / f"{len(self._processes)}-{arguments[0]}.log"
        process = Process(list(arguments), self._environment, log)
        self._processes.append(process)
        return process

    def worker(self, *lanes: str) -> Process:
        """Start a worker and wait until it consumes."""
        stamp = self._directory / f"{len(self._processes)}.stamp"
        options = [option for lane in lanes or ("live", "bulk") for option in ("--lane", lane)]
        name = f"worker-{len(self._processes)}"
        process = self.start("worker", *options, "--name", name, "--stamp", str(stamp))
        process.node = f"{name}@{socket.gethostname()}"
        until(lambda: stamp.exists() or not process.running, "a worker that is ready")
        assert process.running, process.log.read_text()
        return process

    def api(self, processes: int = 1) -> str:
        """Start the API and wait until it is ready; returns its URL."""
        port = free_port()
        process = self.start("serve", "--port", str(port), "--processes", str(processes))
        url = f"http://127.0.0.1:{port}"
        until(lambda: _ready(url) or not process.running, "an API that is ready")
        assert process.running, process.log.read_text()
        return url

    def run(self, *arguments: str, **overrides: object) -> subprocess.CompletedProcess[str]:
        """Run `touchstone ARGUMENTS...` to its end."""
        given = {f"TOUCHSTONE_{name.upper()}": str(value) for name, value in overrides.items()}
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=CHECKOUT,
            env=self._environment | given,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.ask()
        for process in self._processes:
            process.see_off()


@contextmanager
def client(url: str, key: str) -> Iterator[httpx.Client]:
    """An HTTP client with a key."""
    with httpx.Client(base_url=f"{url}/v1", headers={"Authorization": f"Bearer {key}"}, timeout=30) as made:
        yield made


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False
