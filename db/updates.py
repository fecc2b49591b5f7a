"""Updating rows by keys that come as an array, be it of ten or of a hundred thousand."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from db.writes import Check, Writes

MANY = 2000
"""Rows from which it is dearer to go down the index for each than to walk along it and join by hash."""

_HASHED = text("SELECT set_config('enable_nestloop', 'off', true), set_config('enable_hashjoin', 'on', true)")
_NESTED = text("SELECT set_config('enable_nestloop', 'on', true), set_config('enable_hashjoin', 'off', true)")


class Update:
    """An update of a table from arrays, in a transaction that finds rows by index (`db.transactions.BY_INDEX`).

    Args:
        statement: `UPDATE ... WHERE key = t.id`, of parameters among which is the array `ids`.
        key: the table's key.
    """

    def __init__(self, statement: str, key: str) -> None:
        self._few = text(statement)
        self._many = text(f"{statement} AND {key} = ANY(CAST(:ids AS bigint[]))")

    def send(self, writes: Writes, parameters: Mapping[str, Any], check: Check | None = None) -> None:
        """Update the rows whose keys are in `ids`, each once."""
        if len(parameters["ids"]) < MANY:
            writes.send(self._few, parameters, check)
            return
        writes.send(_HASHED, {})
        writes.send(self._many, parameters, check)
        writes.send(_NESTED, {})
