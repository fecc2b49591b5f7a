"""The default stack from first to last: servers, migrations, key, workers, edge."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from cli.errors import CliError
from cli.stack import postgres, services, valkey
from cli.stack.access import keep_key
from cli.stack.child import Child
from cli.stack.home import Home
from cli.stack.leftovers import end_leftovers
from cli.stack.ports import reserved
from cli.stack.secret import kept_secret
from cli.stack.server import Server, last_line
from cli.stack.supervisor import Service, Supervisor, Tier
from config.settings import Settings, load

_MIGRATION_LIMIT = 600.0


@dataclass(frozen=True)
class Stack:
    """A stack of which every process is ready."""

    supervisor: Supervisor
    api_url: str
    flower_url: str


@contextmanager
def running(home: Home, settings: Settings) -> Iterator[Stack]:
    """Run the default stack inside the block, in a home that this process holds.

    Servers that the settings name are used as they are; those they do not name are embedded.

    Raises:
        CliError: something did not come up.
    """
    end_leftovers(home.path)
    note = _Note(home)
    supervisor = Supervisor(settings.stall, note.processes_changed)
    ports = ExitStack()
    try:
        note.add(**_servers(home, settings, supervisor))
        _migrate(home)
        keep_key(load(home=home.path).require_direct_url(), home.api_key)
        port = ports.enter_context(reserved(settings.port, settings.host))
        flower_port = ports.enter_context(reserved(settings.flower_port, settings.flower_host))
        api_url = _url(settings.host, port)
        password = settings.flower_password
        note.add(
            port=port,
            api_url=api_url,
            flower_port=flower_port,
            flower_password=password.get_secret_value() if password else kept_secret(home.flower_password),
        )
        supervisor.start(
            [
                *services.workers(home, settings.workers),
                *services.edge(
                    home,
                    host=settings.host,
                    port=port,
                    processes=settings.api_processes,
                    flower_host=settings.flower_host,
                    flower_port=flower_port,
                ),
            ]
        )
        note.all_ready()
        yield Stack(supervisor, api_url, _url(settings.flower_host, flower_port))
    finally:
        supervisor.stop()
        ports.close()


class _Note:
    """What is told to other programs, as it becomes known."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._settings: dict[str, object] = {}
        self._processes: Mapping[str, int] = {}
        self._ready = False

    def add(self, **settings: object) -> None:
        self._settings |= settings
        self._write()

    def processes_changed(self, processes: Mapping[str, int]) -> None:
        self._processes = processes
        self._write()

    def all_ready(self) -> None:
        self._ready = True
        self._write()

    def _write(self) -> None:
        self._home.write_note(ready=self._ready, settings=self._settings, processes=self._processes)


def _servers(home: Home, settings: Settings, supervisor: Supervisor) -> dict[str, object]:
    """Start the servers that the settings do not name; the URLs of both."""
    urls: dict[str, object] = {}
    for field, named, module, directory in (
        ("database_url", settings.database_url, postgres, home.postgres),
        ("redis_url", settings.redis_url, valkey, home.valkey),
    ):
        if named is not None:
            urls[field] = named.get_secret_value()
            continue
        server: Server = module.prepare(directory, home.path, home.log(directory.name))
        server.start(moving=True)
        supervisor.adopt(Service(server.program, Tier.SERVERS, stuck=server.stuck), server.child)
        urls[field] = server.url
    return urls


def _migrate(home: Home) -> None:
    program = services.touchstone(home, "migrate", "db", "upgrade")
    child = Child(program)
    try:
        status = child.wait(_MIGRATION_LIMIT)
    finally:
        child.kill()
    if status != 0:
        raise CliError(f"the database could not be migrated: {last_line(program.log)} (see {program.log})")


def _url(host: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
