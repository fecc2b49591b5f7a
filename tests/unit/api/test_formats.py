"""Files of tables: what is written is read back, piece by piece."""

import csv
import io
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import UTC, datetime

import pytest
from pyarrow import parquet
from pydantic import BaseModel

from api.formats import Csv, Ndjson, Parquet, asked_for
from api.tables import Column, Table


@dataclass(frozen=True)
class Thing:
    key: str
    kind: str | None
    size: float | None
    count: int
    good: bool
    at: datetime


class Document(BaseModel):
    key: str


TABLE: Table[Thing] = Table(
    columns=(
        Column("key", "text"),
        Column("kind", "label"),
        Column("size", "number"),
        Column("count", "count"),
        Column("good", "flag"),
        Column("at", "time"),
    ),
    cells=astuple,
    document=lambda row: Document(key=row.key),
)
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
THINGS = [
    Thing('quoted, "key"\n', "x", 0.1, 1, True, MOMENT),
    Thing("ä😀", None, None, 2**40, False, MOMENT),
    Thing("", "y", -1e300, 0, True, MOMENT),
]


def endless() -> Iterator[list[Thing]]:
    while True:
        yield THINGS


def test_csv_is_read_back() -> None:
    text = b"".join(Csv().write(TABLE, [THINGS[:1], THINGS[1:]])).decode()
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == [column.name for column in TABLE.columns]
    assert rows == [
        ['quoted, "key"\n', "x", "0.1", "1", "true", MOMENT.isoformat()],
        ["ä😀", "", "", str(2**40), "false", MOMENT.isoformat()],
        ["", "y", "-1e+300", "0", "true", MOMENT.isoformat()],
    ]


@pytest.mark.parametrize("group", [1, 200, 1_000_000])
def test_parquet_is_read_back(group: int) -> None:
    written = b"".join(Parquet(group=group).write(TABLE, [THINGS[:1], THINGS[1:], THINGS]))
    read = parquet.read_table(io.BytesIO(written))
    assert [tuple(row.values()) for row in read.to_pylist()] == [astuple(thing) for thing in THINGS * 2]


def test_nothing_is_a_file_too() -> None:
    assert b"".join(Ndjson().write(TABLE, [])) == b""
    assert b"".join(Csv().write(TABLE, [])) == b"key,kind,size,count,good,at\n"
    assert parquet.read_table(io.BytesIO(b"".join(Parquet().write(TABLE, [])))).num_rows == 0


@pytest.mark.parametrize("form", [Csv(), Ndjson(), Parquet(group=60)])
def test_pieces_come_before_the_rows_end(form: Csv | Ndjson | Parquet) -> None:
    pieces = form.write(TABLE, endless())
    assert all(next(pieces) for _ in range(20))
    pieces.close()


def test_what_is_asked_for() -> None:
    for form in (Csv(), Ndjson(), Parquet()):
        assert asked_for(f"text/html;q=0.1, {form.media_type.upper()}") == form
    assert asked_for("application/json") is None
