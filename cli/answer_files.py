"""Files of answers and of truth: CSV and NDJSON, gzipped or not, read row by row.

Columns go by several names (crowd-kit says task, worker and label). A column's own name goes before its aliases, extra columns are
ignored, keys are text and taken as they stand.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

from cli.errors import CliError

CHALLENGE = ("challenge", "task", "item", "question")
RESPONDENT = ("respondent", "worker", "annotator", "rater")
ANSWER = ("answer", "label", "judgment")
ANSWERED_AT = ("answered_at",)
DURATION = ("duration_ms",)

SUFFIXES = (".csv", ".ndjson", ".jsonl")


class AnswerFileError(CliError):
    """A file cannot be read. The message names the file and, where there is one, the line and the column."""

    def __init__(self, path: Path, problem: str, *, line: int | None = None, column: str | None = None) -> None:
        place = [str(path)]
        if line is not None:
            place.append(f"line {line}")
        if column is not None:
            place.append(f"column {column}")
        super().__init__(f"{', '.join(place)}: {problem}")


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One answer and the line it stands on."""

    line: int
    challenge: str
    respondent: str
    answer: str
    answered_at: str | None = None  # ISO 8601, as it stands in the file
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TruthRow:
    """The right answer of a challenge and the line it stands on."""

    line: int
    challenge: str
    answer: str


def read_answers(path: Path) -> Iterator[AnswerRow]:
    """The answers of a file, one at a time.

    Raises:
        AnswerFileError: while iterating, at the first line that cannot be read.
    """
    for record in _records(path, (CHALLENGE, RESPONDENT, ANSWER)):
        yield AnswerRow(
            line=record.line,
            challenge=record.required(CHALLENGE),
            respondent=record.required(RESPONDENT),
            answer=record.required(ANSWER),
            answered_at=record.optional(ANSWERED_AT, _timestamp, "not an ISO 8601 time"),
            duration_ms=record.optional(DURATION, _milliseconds, "not a whole number of milliseconds"),
        )


def read_truth(path: Path) -> Iterator[TruthRow]:
    """The right answers of a file, one at a time.

    Raises:
        AnswerFileError: while iterating, at the first line that cannot be read.
    """
    for record in _records(path, (CHALLENGE, ANSWER)):
        yield TruthRow(record.line, record.required(CHALLENGE), record.required(ANSWER))


@dataclass(frozen=True, slots=True)
class _Record:
    """A line of a file: column names in lower case to what stands there."""

    path: Path
    line: int
    values: Mapping[str, object]

    def required(self, names: tuple[str, ...]) -> str:
        column = _column(names, self.values)
        if column is None:
            raise AnswerFileError(self.path, "is missing", line=self.line, column=names[0])
        value = self.values[column]
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise AnswerFileError(self.path, "must be text", line=self.line, column=column)
        if not value:
            raise AnswerFileError(self.path, "is empty", line=self.line, column=column)
        return value

    def optional[T](self, names, parse, problem): ...
