"""Numpy arrays as PostgreSQL's arrays, in its binary format: no number becomes text or a Python object on the way.

The format, as `array_send` writes it: dimensions, whether there are NULLs and the elements' type (int32 each); per
dimension its size and lower bound (int32 each); per element its length (int32) and its bytes in network order.
"""

import struct
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import pq
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper, PyFormat

Array = npt.NDArray[Any]

_HEAD = np.dtype([("dimensions", ">i4"), ("nulls", ">i4"), ("type", ">i4")])
_SIZE = np.dtype([("size", ">i4"), ("lower", ">i4")])
_HEAD_OF = struct.Struct(">iii")
_BEGIN = struct.Struct(">iiiii")
"""Both, of one dimension."""
_KINDS = (  # object ids of the element's and of the array's type, and the element
    (20, 1016, ">i8"),
    (23, 1007, ">i4"),
    (21, 1005, ">i2"),
    (701, 1022, ">f8"),
    (700, 1021, ">f4"),
    (16, 1000, "|b1"),
)
_ELEMENT = {element: np.dtype([("length", ">i4"), ("value", code)]) for element, _, code in _KINDS}
_FLOAT8 = _ELEMENT[701]
_OF_ARRAY = {array: element for element, array, _ in _KINDS}
_OF_NUMPY = {np.dtype(code).newbyteorder("="): (element, array) for element, array, code in _KINDS}


def dump(array: Array) -> bytes:
    """An array of any shape as one of one dimension.

    Raises:
        KeyError: no type of PostgreSQL is known for its elements.
    """
    kind, _ = _OF_NUMPY[array.dtype]
    elements = np.empty(array.size, _ELEMENT[kind])
    elements["length"] = array.itemsize
    elements["value"] = array.ravel()
    return _BEGIN.pack(1, 0, kind, array.size, 1) + elements.tobytes()


def load(data: bytes) -> Array:
    """What an array without NULLs, of one dimension or empty, holds; in native byte order."""
    dimensions, _, kind = _HEAD_OF.unpack_from(data)
    if not dimensions:
        return _native(np.empty(0, _ELEMENT[kind]))
    return _native(np.frombuffer(data, _ELEMENT[kind], offset=_HEAD.itemsize + _SIZE.itemsize))


def size(length: Any) -> Any:
    """Bytes of arrays of float8 of this length, or of these lengths."""
    return _HEAD.itemsize + np.where(length > 0, _SIZE.itemsize, 0) + _FLOAT8.itemsize * length


def load_equal(data: bytes, length: int) -> Array:
    """(N, length) of N arrays of float8 of the same length above 0, one behind the other."""
    row = np.dtype([("head", f"V{_HEAD.itemsize + _SIZE.itemsize}"), ("elements", _FLOAT8, (length,))])
    return _native(np.frombuffer(data, row)["elements"])


def nothing(array_type: int) -> Array:
    """An empty array of what arrays with this object id hold."""
    return _native(np.empty(0, _ELEMENT[_OF_ARRAY[array_type]]))


def register(connection: psycopg.Connection[Any]) -> None:
    """Let statements of this connection take numpy arrays as parameters."""
    connection.adapters.register_dumper(np.ndarray, _ArrayDumper)


class _ArrayDumper(Dumper):
    format = pq.Format.BINARY

    def __init__(self, cls: type, context: AdaptContext | None = None, oid: int = 0) -> None:
        super().__init__(cls, context)
        self.oid = oid

    def get_key(self, obj: Array, format: PyFormat) -> Any:  # noqa: A002, ARG002 - the signature is psycopg's
        return (self.cls, obj.dtype)

    def upgrade(self, obj: Array, format: PyFormat) -> Self:  # noqa: A002, ARG002
        return type(self)(self.cls, oid=_OF_NUMPY[obj.dtype][1])

    def dump(self, obj: Array) -> bytes:
        return dump(obj)


def _native(elements: Array) -> Array:
    values = elements["value"]
    return values.astype(values.dtype.newbyteorder("="))
