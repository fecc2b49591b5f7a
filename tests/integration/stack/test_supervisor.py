"""Supervision of real processes."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from cli.errors import CliError
from cli.stack import child
from cli.stack.child import Program
from cli.stack.home import Home, held
from cli.stack.supervisor import Service, Supervisor, Tier
from tests.processes import runs
from tests.waiting import until

SLEEPER = "import time; time.sleep(600)"
STAMPER = """
import pathlib, sys, time
while True:
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(0.05)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
SUPERVISED = f"""
import sys
from pathlib import Path
from tests.integration.stack.test_supervisor import SLEEPER, service
from cli.stack.supervisor import Supervisor
import json
supervisor = Supervisor(stall=60, changed=lambda pids: print(json.dumps(pids), flush=True))
supervisor.start([service(Path(sys.argv[1]), "one", {SLEEPER!r}), service(Path(sys.argv[1]), "two", {SLEEPER!r})])
supervisor.watch()
"""


def service(home: Path, name: str, script: str, *arguments: str, **given: object) -> Service:
    program = {key: given.pop(key) for key in ("patience",) if key in given}
    command = [sys.executable, "-c", script, *arguments]
    tier = given.pop("tier", Tier.WORKERS)
    return Service(
        Program(name=name, command=command, owner=home, log=home / f"{name}.log", **program),  # type: ignore[arg-type]
        tier,  # type: ignore[arg-type]
        **given,  # type: ignore[arg-type]
    )


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    made = Supervisor(stall=2.0)
    yield made
    made.stop()


def look_until(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    def found() -> bool:
        supervisor.look()
        return condition()

    until(found, "what the supervisor is to bring about")


def test_a_killed_child_is_started_again_under_its_name(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start([service(tmp_path, "worker-1", SLEEPER)])
    first = supervisor.processes["worker-1"]
    os.kill(first, signal.SIGKILL)
    look_until(supervisor, lambda: supervisor.processes["worker-1"] != first)
    assert psutil.pid_exists(supervisor.processes["worker-1"])


def test_one_that_dies_again_and_again_is_tried_less_and_less_often(supervisor: Supervisor, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    script = "import sys, time; print(time.time(), file=open(sys.argv[1], 'a'))"
    supervisor.start([service(tmp_path, "worker-1", script, str(runs))])
    look_until(supervisor, lambda: runs.exists() and len(runs.read_text().split()) == 4)
    first, second, third, fourth = map(float, runs.read_text().split())
    assert second - first >= 0.25
    assert third - second >= 0.5
    assert fourth - third >= 1.0


def test_a_full_disk_ends_no_supervision(tmp_path: Path) -> None:
    told: list[dict[str, int]] = []
    room = True

    def tell(processes: Mapping[str, int]) -> None:
        if not room:
            raise OSError(errno.ENOSPC, "no space left")
        told.append(dict(processes))

    supervisor = Supervisor(stall=60, changed=tell)
    logs = tmp_path / "logs"
    try:
        supervisor.start([service(logs, "worker-1", SLEEPER)])
        first = supervisor.processes["worker-1"]
        room = False
        logs.rename(tmp_path / "old")
        logs.touch()  # in its place no log can be opened
        os.kill(first, signal.SIGKILL)
        died = time.time()
        look_until(supervisor, lambda: time.time() - died > 1)
        assert supervisor.processes["worker-1"] == first
        logs.unlink()
        look_until(supervisor, lambda: supervisor.processes["worker-1"] != first)
        room = True
        look_until(supervisor, lambda: told[-1] == supervisor.processes)
    finally:
        supervisor.stop()


def test_a_long_log_is_begun_anew_while_it_is_written(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_LOG_LIMIT", 100_000)
    script = "import time\nwhile True: print('x' * 1000, flush=True); time.sleep(0.002)"
    supervisor.start([service(tmp_path, "worker-1", script)])
    log = tmp_path / "worker-1.log"
    old = log.with_suffix(".1.log")
    look_until(supervisor, lambda: old.exists() and log.stat().st_size > 10_000)
    assert old.stat().st_size > 100_000 > log.stat().st_size
    assert set(log.read_text().split()) == {"x" * 1000}


def test_one_that_stands_still_past_the_lease_is_replaced(supervisor: Supervisor, tmp_path: Path) -> None:
    stamp = tmp_path / "stamp"
    supervisor.start([service(tmp_path, "worker-1", STAMPER, str(stamp), stamp=stamp, ready=stamp.exists)])
    first = supervisor.processes["worker-1"]
    look_until(supervisor, lambda: stamp.stat().st_mtime > psutil.Process(first).create_time() + 1)
    assert supervisor.processes["worker-1"] == first
    os.kill(first, signal.SIGSTOP)
    look_until(supervisor, lambda: supervisor.processes["worker-1"] != first)
    assert not psutil.pid_exists(first)


def test_one_that_is_stuck_for_a_while_is_replaced(supervisor: Supervisor, tmp_path: Path) -> None:
    stuck: set[int] = set()
    looked: list[int] = []

    def look(pid: int) -> bool:
        looked.append(pid)
        return pid in stuck

    supervisor.start([service(tmp_path, "postgres", SLEEPER, stuck=look)])
    first = supervisor.processes["postgres"]
    look_until(supervisor, lambda: len(looked) == 1)
    stuck.add(first)
    look_until(supervisor, lambda: len(looked) == 3)
    assert supervisor.processes["postgres"] == first  # it may just be between two states
    look_until(supervisor, lambda: supervisor.processes["postgres"] != first)
    assert not psutil.pid_exists(first)


def test_no_grandchild_survives_its_parent(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start([service(tmp_path, "worker-refit", PARENT)])
    parent = psutil.Process(supervisor.processes["worker-refit"])
    look_until(supervisor, lambda: bool(parent.children()))
    (grandchild,) = parent.children()
    parent.kill()
    look_until(supervisor, lambda: supervisor.processes["worker-refit"] != parent.pid)
    psutil.wait_procs([grandchild], timeout=10)
    assert not runs(grandchild)


def test_stop_goes_by_tiers_and_ends_the_deaf_by_force(supervisor: Supervisor, tmp_path: Path) -> None:
    noted = tmp_path / "order"
    script = """
import signal, sys, time
def stop(*_):
    print(sys.argv[2], file=open(sys.argv[1], "a"))
    sys.exit()
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
time.sleep(600)
"""

    def said(name: str) -> Callable[[], bool]:
        return lambda: (tmp_path / f"{name}.log").read_text() != ""

    services = [
        service(tmp_path, name, script, str(noted), name, tier=tier, ready=said(name))
        for name, tier in [("postgres", Tier.SERVERS), ("api", Tier.EDGE), ("worker-1", Tier.WORKERS)]
    ]
    services.append(service(tmp_path, "deaf", DEAF, patience=0.2, ready=said("deaf")))
    supervisor.start(services)
    processes = [psutil.Process(pid) for pid in supervisor.processes.values()]
    supervisor.stop()
    assert noted.read_text().split() == ["api", "worker-1", "postgres"]
    assert not any(runs(process) for process in processes)


def test_what_does_not_come_up_is_named_with_its_log(supervisor: Supervisor, tmp_path: Path) -> None:
    message = r"api did not start: {} \(see .*/api\.log\)"
    broken = service(tmp_path, "api", "import sys; sys.exit('error: no such host')", ready=lambda: False)
    with pytest.raises(CliError, match=message.format("error: no such host")):
        supervisor.start([broken])
    supervisor.stop()
    slow = service(tmp_path, "api", "print('importing', flush=True)" + SLEEPER.join("\n\n"), ready=lambda: False)
    with pytest.raises(CliError, match=message.format("importing")):
        supervisor.start([slow], limit=0.5)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends what a killed supervisor left")
def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        supervisor.stdout.readline()
        children = [psutil.Process(pid) for pid in json.loads(supervisor.stdout.readline()).values()]
        assert len(children) == 2
        while not all(child.cmdline()[1:] == ["-c", SLEEPER] for child in children):
            os.sched_yield()
        supervisor.kill()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


def test_a_home_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    with held(tmp_path / "home") as home:
        message = rf"a stack runs in {home.path} already \(process {os.getpid()}\)"
        with pytest.raises(CliError, match=message), held(tmp_path / "home"):
            pass
        with held(tmp_path / "another"):
            pass
    with held(tmp_path / "home"):
        pass


def test_the_note_is_the_owners_alone_and_goes_with_the_stack(tmp_path: Path) -> None:
    with held(tmp_path) as home:
        home.write_note(ready=True, settings={"redis_url": "redis://:x@127.0.0.1/0"}, processes={"valkey": 1})
        assert home.note.stat().st_mode & 0o777 == 0o600
        assert home.read_note()["processes"] == {"valkey": 1}
    assert Home(tmp_path).read_note() == {}
