"""PostgreSQL's COPY BINARY format, to and from numpy columns.

https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS: a header of 19 bytes; per row a field count
(int16) and per field its length (int32, -1 for NULL) and its bytes in network order; a trailer of one int16 -1.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_BLOCK = 1 << 22

Column = npt.NDArray[Any]
Present = npt.NDArray[np.bool_]

BIGINT, INTEGER, SMALLINT, REAL, BOOLEAN = ">i8", ">i4", ">i2", ">f4", "?"


def _row(types: Mapping[str, str]) -> np.dtype[Any]:
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name, code in types.items():
        fields += [(f"{name} length", ">i4"), (name, code)]
    return np.dtype(fields)


def dump(columns: Sequence[tuple[str, Column]], optional: Sequence[tuple[str, Column, Present]] = ()) -> bytes:
    """Encode columns as COPY BINARY.

    Args:
        columns: big-endian type code and values (N,) of each column, none of them NULL.
        optional: the same of the columns behind them, and where each is present; elsewhere it is NULL.
    """
    fields = [*columns, *((code, values) for code, values, _ in optional)]
    rows = np.zeros(len(fields[0][1]), _row({str(index): code for index, (code, _) in enumerate(fields)}))
    rows["fields"] = len(fields)
    for index, (code, values) in enumerate(fields):
        rows[f"{index} length"] = np.dtype(code).itemsize
        rows[str(index)] = values
    if all(present.all() for _, _, present in optional):
        return b"".join((_HEADER, rows.tobytes(), _TRAILER))
    octets = rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)
    kept = np.ones(octets.shape, dtype=bool)
    for index, (code, _, present) in enumerate(optional, start=len(columns)):
        rows[f"{index} length"] = np.where(present, np.dtype(code).itemsize, -1)
        start = rows.dtype.fields[str(index)][1]
        kept[:, start : start + np.dtype(code).itemsize] = present[:, None]  # a NULL has a length and no bytes
    return b"".join((_HEADER, octets[kept].tobytes(), _TRAILER))


def copy_in(connection: Connection, target: str, data: bytes) -> int:
    """`COPY target FROM STDIN (FORMAT BINARY)`; returns the number of rows."""
    command = f"COPY {target} FROM STDIN (FORMAT BINARY)"
    with cursor(connection, command) as driver:
        with driver.copy(command) as copy:
            copy.write(data)
        return driver.rowcount


def copy_out(connection: Connection, query: str, types: Mapping[str, str]) -> dict[str, npt.NDArray[Any]]:
    """Columns that a query without NULLs returns, in native byte order.

    Args:
        query: finished SQL: COPY takes no parameters, so only numbers may have been put into it.
        types: big-endian type code of each column, in the query's order.
    """
    row = _row(types)
    command = f"COPY ({query}) TO STDOUT (FORMAT BINARY)"
    with cursor(connection, command) as driver, driver.copy(command) as copy:
        parts = [_native(block, types) for block in _blocks(copy, row)]
    empty = {name: np.empty(0, np.dtype(code).newbyteorder("=")) for name, code in types.items()}
    return {name: np.concatenate([empty[name], *(part[name] for part in parts)]) for name in types}


@contextmanager
def cursor(connection: Connection, command: str) -> Iterator[psycopg.Cursor[Any]]:
    """A cursor of the driver itself, in this connection's transaction; errors are SQLAlchemy's, as everywhere else."""
    driver = cast("psycopg.Connection[Any]", connection.connection.dbapi_connection)
    try:
        with driver.cursor() as opened:
            yield opened
    except psycopg.Error as error:
        lost = driver.closed
        if lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            command[:200], None, error, psycopg.Error, connection_invalidated=lost, dialect=connection.dialect
        ) from error


def _native(rows: npt.NDArray[Any], types: Mapping[str, str]) -> dict[str, npt.NDArray[Any]]:
    return {name: rows[name].astype(np.dtype(code).newbyteorder("=")) for name, code in types.items()}


def _blocks(chunks: Iterable[bytes | bytearray | memoryview], row: np.dtype[Any]) -> Iterator[npt.NDArray[Any]]:
    buffer = bytearray()
    skip = len(_HEADER)
    for chunk in chunks:
        buffer += chunk
        if len(buffer) - skip >= _BLOCK:
            count = (len(buffer) - skip) // row.itemsize
            yield np.frombuffer(bytes(buffer[skip : skip + count * row.itemsize]), row)
            del buffer[: skip + count * row.itemsize]
            skip = 0
    count = (len(buffer) - skip - len(_TRAILER)) // row.itemsize
    yield np.frombuffer(bytes(buffer[skip : skip + count * row.itemsize]), row)
