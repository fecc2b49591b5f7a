"""POSTs as they go over the wire, encoded before the clock starts: all have the same length."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.fleet.crowd import ANSWERS, OPTIONS, Bytes, Crowd, Ints, Posts, challenge_keys, respondent_keys

_CHUNK = 500
"""POSTs made at a time."""
_DIGITS = 10
"""Of the number in an idempotency key."""
_ANSWER = b'{"challenge":"%20s","respondent":"%20s","answer":"%4s"},' % (b"", b"", b"")
_CHALLENGE = slice(14, 34)
_RESPONDENT = slice(50, 70)
_OPTION = slice(82, 86)
_OPTIONS = np.array([list(option.encode()) for option in OPTIONS], dtype=np.uint8)
_OPENING, _CLOSING = b'{"answers":[', b"]}"
_BODY = len(_OPENING) + ANSWERS * len(_ANSWER) - 1 + len(_CLOSING)


class Requests:
    """Encoded POSTs of a run, in a file that the sender maps.

    Args:
        path: the file; best in memory, so that it does not compete for the disk.
        run: begins the idempotency keys, which end with the POST's number.
    """

    def __init__(self, path: Path, *, host: str, target: str, key: str, run: str) -> None:
        self.path = path
        self.run = run
        self.count = 0
        head = [
            f"POST {target} HTTP/1.1",
            f"Host: {host}",
            f"Authorization: Bearer {key}",
            "Content-Type: application/json",
            f"Content-Length: {_BODY}",
            f"Idempotency-Key: {run}-{'0' * _DIGITS}",
            "",
            "",
        ]
        self._head = np.frombuffer("\r\n".join(head).encode(), dtype=np.uint8)
        path.write_bytes(b"")

    @property
    def size(self) -> int:
        """Bytes of one request."""
        return len(self._head) + _BODY

    def write(self, crowd: Crowd, count: int) -> None:
        """Append the crowd's next POSTs. They are on the disk then: the kernel would write them half a minute later, in
        the way of the database's log."""
        with self.path.open("ab") as file:
            for start in range(0, count, _CHUNK):
                posts = crowd.posts(min(_CHUNK, count - start))
                file.write(self._encode(posts).tobytes())
            file.flush()
            os.fsync(file.fileno())

    def _encode(self, posts: Posts) -> Bytes:
        rows = len(posts.challenge)
        numbers = np.arange(self.count, self.count + rows)
        self.count += rows
        head = len(self._head)
        made = np.empty((rows, self.size), dtype=np.uint8)
        made[:, :head] = self._head
        made[:, head - 4 - _DIGITS : head - 4] = _digits(numbers)
        made[:, head : head + len(_OPENING)] = np.frombuffer(_OPENING, dtype=np.uint8)
        answers = encode(posts).reshape(rows, -1)[:, :-1]  # without the last comma
        made[:, head + len(_OPENING) : -len(_CLOSING)] = answers
        made[:, -len(_CLOSING) :] = np.frombuffer(_CLOSING, dtype=np.uint8)
        return made


def encode(posts: Posts) -> Bytes:
    """(P, 100, W) each answer as a JSON object and a comma."""
    made = np.empty((*posts.challenge.shape, len(_ANSWER)), dtype=np.uint8)
    made[...] = np.frombuffer(_ANSWER, dtype=np.uint8)
    made[..., _CHALLENGE] = challenge_keys(posts.challenge)
    made[..., _RESPONDENT] = respondent_keys(posts.respondent)
    made[..., _OPTION] = _OPTIONS[posts.option]
    return made


def _digits(numbers: Ints) -> npt.NDArray[np.int64]:
    powers = 10 ** np.arange(_DIGITS - 1, -1, -1)
    return numbers[:, None] // powers % 10 + ord("0")
