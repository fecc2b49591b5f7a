"""Whom PostgreSQL runs as when we are root, which it refuses to be."""

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CliError
from telemetry.logging import get

NAME = "touchstone"

log = get(__name__)


@dataclass(frozen=True)
class Account:
    """A Unix account that is not root."""

    uid: int
    gid: int

    def own(self, directory: Path) -> None:
        """Make the directory this account's, and no one else's."""
        os.chown(directory, self.uid, self.gid)
        directory.chmod(0o700)

    def reach(self, path: Path) -> None:
        """Let the account through to `path`: directories on the way get search permission where they lack it.

        A checkout under root's own 0700 directory needs this. What lies beside the way keeps its permissions.
        """
        for directory in path.resolve().parents:
            mode = directory.stat().st_mode
            if not mode & stat.S_IXOTH:
                log.warning("made searchable", directory=str(directory), account=NAME)
                directory.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)

    def read(self, directory: Path) -> None:
        """Let the account read and run what is in `directory`, as an installation under umask 077 does not."""
        self.reach(directory)
        if directory.stat().st_mode & stat.S_IXOTH:
            return
        for path in (directory, *directory.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | (mode & 0o500) >> 6)


def unprivileged() -> Account | None:
    """The account for servers that refuse to be root: made on first need; None when we are not root ourselves.

    Raises:
        CliError: this system has no way to make it.
    """
    if os.geteuid() != 0:
        return None
    known = _known() or _made()
    if known is None:
        raise CliError(
            f"PostgreSQL does not run as root and no account {NAME!r} could be made: run as an ordinary user"
        )
    return known


def _known() -> Account | None:
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def _made() -> Account | None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        return None
    command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
    subprocess.run(command, check=False, capture_output=True)  # another process may have been faster: look again
    return _known()
