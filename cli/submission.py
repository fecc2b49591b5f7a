"""A file of answers cut into batches: what is sent, and under which idempotency keys.

The keys follow from the project, the answers, the batch size and the place in the file, so that sending a file again
sends nothing twice in effect. The first batch's key leaves the size out: with another size it has another body under
the same key, which the API refuses. Who sends the first batch alone learns so that a size differs before more is sent.
"""

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Self

import msgspec

from cli.answer_files import AnswerRow, read_answers
from cli.errors import CliError
from db.bodies import AnswerBody

_DIGEST = 32  # hex digits of the digest that go into a key


@dataclass(frozen=True, slots=True)
class OutgoingBatch:
    """One POST: NDJSON answers, and the line of the file that each comes from."""

    key: str
    body: bytes
    lines: "array[int]"


@dataclass(frozen=True, slots=True)
class Submission:
    """A file on its way to a project, `size` answers a batch."""

    path: Path
    project: str
    size: int
    digest: str
    """SHA-256 of the answers as they are sent: the same for a file and its gzip."""
    answers: int

    @classmethod
    def survey(cls, path: Path, project: str, size: int) -> Self:
        """Read a file once, so that nothing is sent of one that cannot be read to its end.

        Raises:
            AnswerFileError: at the first line that cannot be read.
            CliError: there is no answer in it.
        """
        digest, answers = hashlib.sha256(), 0
        for row in read_answers(path):
            digest.update(encode(row))
            answers += 1
        if not answers:
            raise CliError(f"{path}: holds no answers")
        return cls(path, project, size, digest.hexdigest(), answers)

    @property
    def count(self) -> int:
        """The number of batches."""
        return -(-self.answers // self.size)

    def batches(self) -> Iterator[OutgoingBatch]:
        """Read the file again, a batch at a time.

        Raises:
            CliError: at the end, if the file is no longer the one that was surveyed.
        """
        digest, rows = hashlib.sha256(), read_answers(self.path)
        index = 0
        while chunk := list(islice(rows, self.size)):
            body = b"".join(map(encode, chunk))
            digest.update(body)
            yield OutgoingBatch(self._key(index), body, array("q", (row.line for row in chunk)))
            index += 1
        if digest.hexdigest() != self.digest:
            raise CliError(f"{self.path}: changed while it was being sent: submit it again")

    def _key(self, index: int) -> str:
        place = f"{self.size}:{index}" if index else "0"
        return f"submit:{self.project}:{self.digest[:_DIGEST]}:{place}"


class _Line(AnswerBody, frozen=True, gc=False, omit_defaults=True):
    """An answer as a line of NDJSON."""


def encode(row: AnswerRow) -> bytes:
    """A row as a line of NDJSON. A time without a zone is taken to be UTC."""
    answered_at = None
    if row.answered_at is not None:
        answered_at = datetime.fromisoformat(row.answered_at)
        answered_at = answered_at if answered_at.tzinfo else answered_at.replace(tzinfo=UTC)
    line = _Line(
        row.challenge, row.respondent, row.answer, answered_at, row.duration_ms, row.session, row.answer is None
    )
    return msgspec.json.encode(line) + b"\n"
