"""Become a program that the kernel ends when our parent dies. A script of its own, run by :mod:`cli.stack.child`:
a process with threads cannot safely run code between fork and exec.

    python -I -S launch.py PARENT DEATH_SIGNAL UID GID COMMAND...

UID 0 keeps the account. The order matters: a change of account clears the death signal.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, death_signal: int, uid: int, gid: int, *command: str) -> None:
    if uid:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        os.umask(0o077)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # it died before the kernel was told
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - there is no shell to want


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:5]), *sys.argv[5:])  # type: ignore[arg-type]
