"""What a child process inherits."""

import os


def inherited(**extra: str) -> dict[str, str]:
    """The environment of a child process: this process's own, with `extra` set on top."""
    return {**os.environ, **extra}
