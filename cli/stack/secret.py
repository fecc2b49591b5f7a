"""Generated secrets, kept in files that only their owner reads."""

import os
import secrets
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace the file at once by one of mode 600 that holds `text`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def kept_secret(path: Path) -> str:
    """The secret in the file; 192 random bits, printable in a URL, when there is none yet."""
    if path.exists():
        return path.read_text().strip()
    secret = secrets.token_urlsafe(24)
    write_private(path, secret)
    return secret
