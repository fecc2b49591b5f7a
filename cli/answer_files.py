"""Files of answers and of truth: CSV and NDJSON, gzipped or not, read row by row.

A column goes by its own name or, failing that, by an alias (crowd-kit says task, worker and label). Extra columns are
ignored. Keys are text and are taken as they stand; NDJSON may also have whole numbers.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TextIO

from cli.errors import CliError


class AnswerFileError(CliError):
    """A file cannot be read; the message names the file and, where there is one, the line and the column."""

    def __init__(self, path: Path, problem: str, line: int | None = None, column: str | None = None) -> None:
        place = [str(path)]
        if line is not None:
            place.append(f"line {line}")
        if column is not None:
            place.append(f"column {column}")
        super().__init__(f"{', '.join(place)}: {problem}")


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One answer and the line on which it ends."""

    line: int
    challenge: str
    respondent: str
    answer: str | None  # None: the respondent cannot tell, and the column `skip` says so
    answered_at: str | None = None  # ISO 8601, as it stands in the file
    duration_ms: int | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True)
class TruthRow:
    """The right answer of a challenge and the line on which it ends."""

    line: int
    challenge: str
    answer: str


def read_answers(path: Path) -> Iterator[AnswerRow]:
    """The answers of a file, one at a time.

    Raises:
        AnswerFileError: while iterating, at the first line that cannot be read.
    """
    for row in _rows(path, (_CHALLENGE, _RESPONDENT, _ANSWER, _ANSWERED_AT, _DURATION, _SESSION, _SKIP)):
        answer = None if row.yes(6) else row.key(2)
        session = row.key(5) if row.values[5] else None
        yield AnswerRow(row.line, row.key(0), row.key(1), answer, row.time(3), row.milliseconds(4), session)


def read_truth(path: Path) -> Iterator[TruthRow]:
    """The right answers of a file, one at a time.

    Raises:
        AnswerFileError: while iterating, at the first line that cannot be read.
    """
    for row in _rows(path, (_CHALLENGE, _ANSWER)):
        yield TruthRow(row.line, row.key(0), row.key(1))


class _Column(NamedTuple):
    names: tuple[str, ...]
    required: bool = True

    def find(self, present: Container[str]) -> str | None:
        return next((name for name in self.names if name in present), None)


_CHALLENGE = _Column(("challenge", "task", "item", "question"))
_RESPONDENT = _Column(("respondent", "worker", "annotator", "rater"))
_ANSWER = _Column(("answer", "label", "judgment"))
_ANSWERED_AT = _Column(("answered_at",), required=False)
_DURATION = _Column(("duration_ms",), required=False)
_SESSION = _Column(("session",), required=False)
_SKIP = _Column(("skip",), required=False)


class _Row(NamedTuple):
    """The wanted cells of one line: the names of their columns in this file and what stands in them."""

    path: Path
    line: int
    names: tuple[str, ...]
    values: tuple[object, ...]

    def key(self, cell: int) -> str:
        value = self.values[cell]
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise self._error(cell, "is missing" if value is None else "must be text")
        if not value:
            raise self._error(cell, "is empty")
        if "\0" in value or not _is_unicode(value):
            raise self._error(cell, "holds a NUL or half of a surrogate pair")
        return value

    def time(self, cell: int) -> str | None:
        value = self.values[cell]
        if value is None or value == "":
            return None
        try:
            datetime.fromisoformat(str(value))
        except ValueError:
            raise self._error(cell, f"{value!r} is not an ISO 8601 time") from None
        return str(value)

    def milliseconds(self, cell: int) -> int | None:
        value = self.values[cell]
        if value is None or value == "":
            return None
        text = str(value)
        if isinstance(value, bool) or not (text.isascii() and text.isdigit()):
            raise self._error(cell, f"{value!r} is not a whole number of milliseconds")
        return int(text)

    def yes(self, cell: int) -> bool:
        value = self.values[cell]
        if value in (None, "", False, "false", "0"):
            return False
        if value in (True, "true", "1"):
            return True
        raise self._error(cell, f"{value!r} is neither true nor false")

    def _error(self, cell: int, problem: str) -> AnswerFileError:
        return AnswerFileError(self.path, problem, self.line, self.names[cell])


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _rows(path: Path, columns: tuple[_Column, ...]) -> Iterator[_Row]:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".csv"):
        read = _csv_rows
    elif name.endswith((".ndjson", ".jsonl")):
        read = _ndjson_rows
    else:
        raise AnswerFileError(path, "the name must end in .csv, .ndjson or .jsonl, with or without .gz")
    try:
        with _open(path) as stream:
            yield from read(path, stream, columns)
    except UnicodeDecodeError:
        raise AnswerFileError(path, "is not UTF-8") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise AnswerFileError(path, f"is not a whole gzip file: {error}") from None
    except OSError as error:
        raise AnswerFileError(path, error.strerror or str(error)) from None


def _open(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _csv_rows(path: Path, stream: TextIO, columns: tuple[_Column, ...]) -> Iterator[_Row]:
    reader = csv.reader(stream, strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        names = []
        for column in columns:
            name = column.find(header)
            if name is None and column.required:
                raise AnswerFileError(
                    path, f"has no such column (nor {' or '.join(column.names[1:])})", 1, column.names[0]
                )
            names.append(name or column.names[0])
        places = [header.index(name) if name in header else None for name in names]
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(header):
                raise AnswerFileError(path, f"has {len(fields)} fields, the header {len(header)}", reader.line_num)
            values = tuple(None if place is None else fields[place] for place in places)
            yield _Row(path, reader.line_num, tuple(names), values)
    except csv.Error as error:
        raise AnswerFileError(path, f"is not CSV: {error}", reader.line_num) from None


def _ndjson_rows(path: Path, stream: TextIO, columns: tuple[_Column, ...]) -> Iterator[_Row]:
    for line, text in enumerate(stream, 1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except ValueError as error:
            raise AnswerFileError(path, f"is not JSON: {error}", line) from None
        if not isinstance(record, dict):
            raise AnswerFileError(path, "is not a JSON object", line)
        names = tuple(column.find(record) or column.names[0] for column in columns)
        yield _Row(path, line, names, tuple(record.get(name) for name in names))
