"""Files of tables, written piece by piece: CSV, NDJSON and Parquet."""

import csv
import io
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from api.tables import Column, Row, Table

Pieces = Generator[bytes, None, None]


class Format(Protocol):
    """A kind of file."""

    @property
    def media_type(self) -> str: ...

    @property
    def extension(self) -> str: ...

    def write(self, table: Table[Row], chunks: Iterable[Sequence[Row]]) -> Pieces:
        """The bytes of a file of these rows; a piece depends on a bounded number of them."""
        ...


@dataclass(frozen=True, slots=True)
class Csv:
    """RFC 4180 with a header and plain line feeds; an empty cell is nothing."""

    media_type: str = "text/csv"
    extension: str = "csv"

    def write(self, table: Table[Row], chunks: Iterable[Sequence[Row]]) -> Pieces:
        """The bytes of a file of these rows."""
        yield _lines([[column.name for column in table.columns]])
        for chunk in chunks:
            yield _lines([_plain(cell) for cell in table.cells(row)] for row in chunk)


@dataclass(frozen=True, slots=True)
class Ndjson:
    """A JSON document a line, each as a page shows it."""

    media_type: str = "application/x-ndjson"
    extension: str = "ndjson"

    def write(self, table: Table[Row], chunks: Iterable[Sequence[Row]]) -> Pieces:
        """The bytes of a file of these rows."""
        for chunk in chunks:
            yield b"".join(table.document(row).model_dump_json().encode() + b"\n" for row in chunk)


@dataclass(frozen=True, slots=True)
class Parquet:
    """Apache Parquet, compressed by Zstandard."""

    media_type: str = "application/vnd.apache.parquet"
    extension: str = "parquet"
    group: int = 2**21
    """Bytes of a row group before it is compressed: some copies of it are in memory as a whole."""

    def write(self, table: Table[Row], chunks: Iterable[Sequence[Row]]) -> Pieces:
        """The bytes of a file of these rows, a row group a piece."""
        import pyarrow as pa
        from pyarrow import parquet

        schema = pa.schema([(column.name, _arrow(column, pa)) for column in table.columns])
        sink = _Sink()
        labels = [column.name for column in table.columns if column.type == "label"]
        with parquet.ParquetWriter(sink, schema, compression="zstd", use_dictionary=labels) as writer:
            waiting: list[Any] = []
            for chunk in chunks:
                columns = zip(*map(table.cells, chunk), strict=True)
                arrays = [pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)]
                waiting.append(pa.record_batch(arrays, schema=schema))
                if sum(batch.nbytes for batch in waiting) >= self.group:
                    writer.write_table(pa.Table.from_batches(waiting))
                    waiting.clear()
                    yield sink.take()
            if waiting:
                writer.write_table(pa.Table.from_batches(waiting))
        yield sink.take()


FORMATS: tuple[Format, ...] = (Csv(), Ndjson(), Parquet())


def asked_for(accept: str) -> Format | None:
    """The format that an `Accept` header names."""
    return next((form for form in FORMATS if form.media_type in accept.lower()), None)


class _Sink(io.RawIOBase):
    """A file of which what was written is taken away."""

    def __init__(self) -> None:
        super().__init__()
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._written.append(bytes(data))
        return len(self._written[-1])

    def take(self) -> bytes:
        written = b"".join(self._written)
        self._written.clear()
        return written


def _arrow(column: Column, pa: Any) -> Any:
    match column.type:
        case "text":
            return pa.string()
        case "label":
            return pa.dictionary(pa.int32(), pa.string())
        case "number":
            return pa.float64()
        case "count":
            return pa.int64()
        case "flag":
            return pa.bool_()
        case "time":
            return pa.timestamp("us", tz="UTC")


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _plain(cell: object) -> object:
    match cell:
        case bool():
            return "true" if cell else "false"
        case datetime():
            return cell.isoformat()
        case _:
            return cell
