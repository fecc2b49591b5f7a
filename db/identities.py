"""Names to ids: the keys of challenges and respondents, made when first met.

A key's id never changes. New keys are inserted in key order, so that two transactions that make the same ones wait for
each other instead of deadlocking. The row that carries the state is made together with the name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from sqlalchemy import Connection, Engine, TextClause, event, text

from db import transactions
from db.questions import Question, ask_all
from db.typed_arrays import Texts

Ints = npt.NDArray[np.int64]

_UNKNOWN = -1
KEPT = 1 << 18
"""Keys of challenges, and of respondents, that a process keeps at hand: some 50 megabytes each."""


@dataclass(frozen=True, slots=True)
class Ids:
    """Of N answers."""

    challenge: Ints
    """(N,)"""
    respondent: Ints
    """(N,)"""
    new_challenges: Ints
    """Those that were made for it, ascending: nobody has met them before."""
    new_respondents: Ints
    """Likewise."""


class Keys:
    """The ids of keys, those met lately from memory.

    What is kept cannot be wrong: an id is kept once the transaction that made or found it has committed, never changes,
    and is never given to another key. A server that takes over may lack the last commits of the one before: whenever a
    connection is made anew, everything is forgotten.
    """

    def __init__(self, engine: Engine, kept: int = KEPT) -> None:
        self._engine = engine
        self._challenges, self._respondents = _Recent(kept), _Recent(kept)
        self.epoch = 0
        """How often everything was forgotten: ids that were found in an epoch hold in that epoch."""
        event.listen(engine, "connect", self._forget)

    def resolve(self, project_id: int, challenge_keys: Sequence[str], respondent_keys: Sequence[str]) -> Ids:
        """Ids of challenges and of respondents by their keys, in these orders. What is new is made and committed."""
        asked = (self._challenges, _CHALLENGES, challenge_keys), (self._respondents, _RESPONDENTS, respondent_keys)
        found = [recent.find(project_id, keys) for recent, _, keys in asked]
        unknown = [_unknown(keys, ids) for (_, _, keys), ids in zip(asked, found, strict=True)]
        made = [np.empty(0, dtype=np.int64) for _ in asked]
        if any(unknown):
            wanted = [(names, keys) for (_, names, _), keys in zip(asked, unknown, strict=True)]
            resolved = _resolve(self._ask, project_id, wanted)
            for (recent, _, _), ids, keys, new in zip(asked, found, unknown, resolved, strict=True):
                recent.keep(project_id, new.ids)
                ids[ids == _UNKNOWN] = [new.ids[key] for key in keys]
            made = [np.array(sorted(new.made), dtype=np.int64) for new in resolved]
        return Ids(*found, *made)

    def _ask(self, questions: Sequence[Question[Any]]) -> list[Any]:
        # Lost with the server's memory, they are made again: whoever stores what refers to them commits later.
        return transactions.ask_alone(self._engine, questions, transactions.BY_INDEX, transactions.UNHURRIED)

    def _forget(self, *_: object) -> None:
        self.epoch += 1
        self._challenges.forget()
        self._respondents.forget()


def challenges(connection: Connection, project_id: int, keys: Sequence[str]) -> dict[str, int]:
    """Ids of the challenges with these keys; belongs into a transaction of its own."""
    return _resolve(partial(ask_all, connection), project_id, [(_CHALLENGES, keys)])[0].ids


def respondents(connection: Connection, project_id: int, keys: Sequence[str]) -> dict[str, int]:
    """Ids of the respondents with these keys; belongs into a transaction of its own."""
    return _resolve(partial(ask_all, connection), project_id, [(_RESPONDENTS, keys)])[0].ids


class _Recent:
    """Ids by project and key, at most so many: two generations, of which the older goes when the younger is full."""

    def __init__(self, kept: int) -> None:
        self._most = kept // 2
        self._young: dict[int, dict[str, int]] = {}
        self._old: dict[int, dict[str, int]] = {}
        self._size = 0

    def find(self, project_id: int, keys: Sequence[str]) -> Ints:
        """The id of each key, `_UNKNOWN` where it is not known."""
        young = self._young.get(project_id, {})
        found = np.fromiter(map(young.get, keys, repeat(_UNKNOWN)), np.int64, len(keys))
        old = self._old.get(project_id)
        if old:
            unknown = _unknown(keys, found)
            again = {key: old[key] for key in unknown if key in old}
            if again:
                self.keep(project_id, again)
                found[found == _UNKNOWN] = [again.get(key, _UNKNOWN) for key in unknown]
        return found

    def keep(self, project_id: int, ids: dict[str, int]) -> None:
        if self._size + len(ids) > self._most:
            self._old, self._young, self._size = self._young, {}, 0
        self._young.setdefault(project_id, {}).update(ids)
        self._size += len(ids)

    def forget(self) -> None:
        self._young, self._old, self._size = {}, {}, 0


def _unknown(keys: Sequence[str], ids: Ints) -> list[str]:
    return [keys[place] for place in np.flatnonzero(ids == _UNKNOWN).tolist()]


@dataclass(frozen=True, slots=True)
class _Names:
    """How names of one kind are made and found: each statement answers with two objects of keys and ids."""

    make: TextClause
    """Makes those that are not there: what it has made, and what it has found."""
    find: TextClause
    """Makes nothing, and answers alike."""


def _names(table: str, state: str, column: str) -> _Names:
    find = f"SELECT json_object_agg(key, id) FROM {table} WHERE project_id = :project AND key = ANY({{}})"
    make = text(f"""
        WITH made AS (
            INSERT INTO {table} (project_id, key)
            SELECT :project, key FROM unnest(CAST(:keys AS text[])) WITH ORDINALITY AS t(key, place) ORDER BY place
            ON CONFLICT (project_id, key) DO NOTHING RETURNING id, key
        ), stated AS (
            INSERT INTO {state} ({column}, project_id) SELECT id, :project FROM made
        )
        SELECT (SELECT json_object_agg(key, id) FROM made),
               ({find.format("ARRAY(SELECT unnest(CAST(:keys AS text[])) EXCEPT SELECT key FROM made)")})
    """)
    return _Names(make, text(f"SELECT NULL, ({find.format('CAST(:keys AS text[])')})"))


_CHALLENGES = _names("challenges", "consensus", "challenge_id")
_RESPONDENTS = _names("respondents", "respondent_statistics", "respondent_id")


@dataclass(frozen=True, slots=True)
class _Resolved:
    ids: dict[str, int]
    """By key."""
    made: list[int]
    """Those among them that were not there before."""


def _resolve(
    ask: Callable[[Sequence[Question[Any]]], list[Any]],
    project_id: int,
    asked: Sequence[tuple[_Names, Sequence[str]]],
) -> list[_Resolved]:
    """Ids of keys of some kinds, made where they are not there."""

    def resolved(statements: Sequence[TextClause], wanted: Sequence[list[str]]) -> list[_Resolved]:
        """Of each kind; where nothing is wanted, nothing is asked."""
        pairs = [
            (each, {"project": project_id, "keys": Texts(keys)}) for each, keys in zip(statements, wanted, strict=True)
        ]
        found = iter(ask([Question(each, parameters, _resolved) for each, parameters in pairs if parameters["keys"]]))
        return [next(found) if keys else _Resolved({}, []) for keys in wanted]

    wanted = [sorted(set(keys), key=str.encode) for _, keys in asked]
    found = resolved([names.make for names, _ in asked], wanted)
    missing = [[key for key in keys if key not in some.ids] for keys, some in zip(wanted, found, strict=True)]
    if not any(missing):
        return found
    late = resolved([names.find for names, _ in asked], missing)  # these see what the inserts have waited for
    return [_Resolved(some.ids | more.ids, some.made) for some, more in zip(found, late, strict=True)]


def _resolved(cursor: "psycopg.Cursor[Any]") -> _Resolved:
    ((made, there),) = cursor.fetchall()
    made = made or {}
    return _Resolved(made | (there or {}), list(made.values()))
