"""Columns of rows as PostgreSQL's arrays, in its binary format: each says of which type it is.

psycopg looks at the elements of a list for that, which takes longer than sending them, and lets Postgres prepare a
statement once more when the numbers in it are larger. `db.arrays` describes the format.
"""

import struct
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Dumper

_NONE = struct.Struct("!iii")
_HEAD = struct.Struct("!iiiii")
_LENGTH = struct.Struct("!i")
_INT = struct.Struct("!ii")
_LONG = struct.Struct("!iq")
_UUID = struct.Struct("!i16s")


class Texts(list[str]):
    """A column of text."""


class Blobs(list[bytes]):
    """A column of bytea."""


class Uuids(list[uuid.UUID]):
    """A column of uuid."""


class Ints(list[int]):
    """A column of int."""


class Longs(list[int]):
    """A column of bigint."""


def _blobs(column: Iterable[bytes]) -> Iterable[bytes]:
    for value in column:
        yield _LENGTH.pack(len(value))
        yield value


def _texts(column: Iterable[str]) -> Iterable[bytes]:
    return _blobs(value.encode() for value in column)


def _uuids(column: Iterable[uuid.UUID]) -> Iterable[bytes]:
    return (_UUID.pack(16, value.bytes) for value in column)


def _ints(column: Iterable[int]) -> Iterable[bytes]:
    return (_INT.pack(4, value) for value in column)


def _longs(column: Iterable[int]) -> Iterable[bytes]:
    return (_LONG.pack(8, value) for value in column)


def register(connection: psycopg.AsyncConnection[Any] | psycopg.Connection[Any]) -> None:
    """Let statements of this connection take columns as parameters."""
    for column, element, array, elements in (
        (Texts, 25, 1009, _texts),
        (Blobs, 17, 1001, _blobs),
        (Uuids, 2950, 2951, _uuids),
        (Ints, 23, 1007, _ints),
        (Longs, 20, 1016, _longs),
    ):
        connection.adapters.register_dumper(column, _dumper(element, array, elements))


def _dumper(element: int, array: int, elements: Callable[[Any], Iterable[bytes]]) -> type[Dumper]:
    """How a column becomes an array, from the object ids of the element's and of the array's type."""

    class ColumnDumper(Dumper):
        format = pq.Format.BINARY
        oid = array

        def dump(self, obj: list[Any]) -> bytes:
            if not obj:
                return _NONE.pack(0, 0, element)
            return _HEAD.pack(1, 0, element, len(obj), 1) + b"".join(elements(obj))

    return ColumnDumper
