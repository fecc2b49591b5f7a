"""Names to ids: the keys of challenges and respondents, made when first met.

A key's id never changes. New keys are inserted in key order, so that two transactions that make the same ones wait for
each other instead of deadlocking. The row that carries the state is made together with the name.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from sqlalchemy import Connection, Engine

from db import consensus, transactions
from db.consensus import Rows
from db.questions import Question, ask_all
from db.server import Server
from db.typed_arrays import Texts

Ints = npt.NDArray[np.int64]

_UNKNOWN = -1
KEPT = 1 << 18
"""Keys of challenges, and of respondents, that a process keeps at hand: some 50 megabytes each."""
_GIVEN_UP = 8
"""One in so many of them goes at a time when there are more."""


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
    rows: Rows | None
    """Of challenges that were there and not at hand, as they were then, some or all of them; None: of none."""


class Keys:
    """The ids of keys, those of late from memory.

    What is kept cannot be wrong: an id is kept once the transaction that made or found it has committed, never changes,
    and is never given to another key. A server that takes over may lack the last commits of the one before: in another
    epoch everything is forgotten.

    Args:
        most: seconds that making and finding names may take: whoever makes the same ones waits meanwhile.
        kept: keys of either kind.
    """

    def __init__(self, engine: Engine, server: Server, *, most: float, kept: int = KEPT) -> None:
        self._engine = engine
        self._server = server
        self._patience = most
        self._most = kept
        self._kept = server.epoch, (_Recent(kept), _Recent(kept))

    def resolve(self, project_id: int, challenge_keys: Sequence[str], respondent_keys: Sequence[str]) -> Ids:
        """Ids of challenges and of respondents by their keys, in these orders. What is new is made and committed."""
        challenges, respondents = self._recent
        asked = (challenges, _KNOWN, challenge_keys), (respondents, _RESPONDENTS, respondent_keys)
        found = [recent.find(project_id, keys) for recent, _, keys in asked]
        unknown = [_unknown(keys, ids) for (_, _, keys), ids in zip(asked, found, strict=True)]
        made = [np.empty(0, dtype=np.int64) for _ in asked]
        rows = None
        if any(unknown):
            wanted = [(names, keys) for (_, names, _), keys in zip(asked, unknown, strict=True)]
            resolved = _resolve(self._ask, project_id, wanted)
            rows = resolved[0].rows
            for (recent, _, _), ids, keys, new in zip(asked, found, unknown, resolved, strict=True):
                recent.keep(project_id, new.ids)
                ids[ids == _UNKNOWN] = [new.ids[key] for key in keys]
            made = [np.array(sorted(new.made), dtype=np.int64) for new in resolved]
        (challenge, respondent), (new_challenges, new_respondents) = found, made
        return Ids(challenge, respondent, new_challenges, new_respondents, rows)

    def _ask(self, questions: Sequence[Question[Any]]) -> list[Any]:
        # Lost with the server's memory, they are made again: whoever stores what refers to them commits later.
        settings = transactions.BY_INDEX, transactions.UNHURRIED
        return transactions.ask_alone(self._engine, questions, *settings, most=self._patience)

    @property
    def _recent(self) -> "tuple[_Recent, _Recent]":
        """Of challenges and of respondents, in this epoch.

        Whoever began to resolve in the one before keeps what it finds where nobody looks any more.
        """
        (epoch, recent), now = self._kept, self._server.epoch
        if epoch != now:
            recent = _Recent(self._most), _Recent(self._most)
            self._kept = now, recent  # in one go: others may look at the same time
        return recent


def challenges(connection: Connection, project_id: int, keys: Sequence[str]) -> dict[str, int]:
    """Ids of the challenges with these keys; belongs into a transaction of its own."""
    return _resolve(partial(ask_all, connection), project_id, [(_CHALLENGES, keys)])[0].ids


def respondents(connection: Connection, project_id: int, keys: Sequence[str]) -> dict[str, int]:
    """Ids of the respondents with these keys; belongs into a transaction of its own."""
    return _resolve(partial(ask_all, connection), project_id, [(_RESPONDENTS, keys)])[0].ids


class _Recent:
    """Ids by project and key, at most so many: of more, each project gives up those that it has had longest.

    Those met lately would be better kept than those made lately, but to know them costs more at every key than to look
    up some of them again.
    """

    def __init__(self, kept: int) -> None:
        self._most = kept
        self._ids: dict[int, dict[str, int]] = {}
        self._size = 0

    def find(self, project_id: int, keys: Sequence[str]) -> Ints:
        """The id of each key, `_UNKNOWN` where it is not known."""
        return np.fromiter(map(self._ids.get(project_id, {}).get, keys, repeat(_UNKNOWN)), np.int64, len(keys))

    def keep(self, project_id: int, ids: Mapping[str, int]) -> None:
        known = self._ids.setdefault(project_id, {})
        before = len(known)
        known.update(ids)
        self._size += len(known) - before
        while self._size > self._most:
            self._thin()

    def _thin(self) -> None:
        """While others may look keys up, or keep more: what they keep meanwhile may be lost."""
        projects = list(self._ids.items())
        for _, ids in projects:
            for key in list(islice(ids, math.ceil(len(ids) / _GIVEN_UP))):
                ids.pop(key, None)
        self._ids = {project_id: ids for project_id, ids in projects if ids}
        self._size = sum(len(ids) for _, ids in projects)


def _unknown(keys: Sequence[str], ids: Ints) -> list[str]:
    return [keys[place] for place in np.flatnonzero(ids == _UNKNOWN).tolist()]


@dataclass(frozen=True, slots=True)
class _Resolved:
    ids: dict[str, int]
    """By key."""
    made: list[int]
    """Those among them that were not there before."""
    rows: Rows | None = None
    """Of challenges that were, if it was asked for."""


_Of = Callable[[int, list[str]], Question[_Resolved]]
"""What is to be asked of the keys of a project."""


@dataclass(frozen=True, slots=True)
class _Names:
    """How names of one kind are made and found."""

    make: _Of
    """Makes those that are not there: what it has made, and what it has found."""
    find: _Of
    """Makes nothing, and answers alike."""


_ANSWER = "(SELECT json_object_agg(key, id) FROM made)", "(SELECT json_object_agg(key, id) FROM found)"


def _making(table: str, state: str, column: str) -> str:
    return f"""
        WITH made AS (
            INSERT INTO {table} (project_id, key)
            SELECT %(project)s, key FROM unnest(CAST(%(keys)s AS text[])) WITH ORDINALITY AS t(key, place)
            ORDER BY place
            ON CONFLICT (project_id, key) DO NOTHING RETURNING id, key
        ), stated AS (
            INSERT INTO {state} ({column}, project_id) SELECT id, %(project)s FROM made
        ), found AS (
            SELECT id, key FROM {table} WHERE project_id = %(project)s
            AND key = ANY(ARRAY(SELECT unnest(CAST(%(keys)s AS text[])) EXCEPT SELECT key FROM made))
        )
    """


def _finding(table: str) -> str:
    return f"SELECT NULL, json_object_agg(key, id) FROM {table} WHERE project_id = %(project)s AND key = ANY(%(keys)s)"


def _of(statement: str) -> _Of:
    def answer(cursor: "psycopg.Cursor[Any]") -> _Resolved:
        ((made, found),) = cursor.fetchall()
        return _answer(made, found)

    return lambda project_id, keys: Question(statement, _parameters(project_id, keys), answer)


def _making_and_reading(common: str) -> _Of:
    def of(project_id: int, keys: list[str]) -> Question[_Resolved]:
        found = consensus.query_where("challenge_id = ANY(ARRAY(SELECT id FROM found))", _parameters(project_id, keys))
        question = replace(found, common=common, values=_ANSWER).question

        def answer(cursor: "psycopg.Cursor[Any]") -> _Resolved:
            columns = question.read(cursor)
            values = [None if value is None else json.loads(value) for value in columns.values]
            return replace(_answer(*values), rows=consensus.rows(columns))

        return Question(question.statement, question.parameters, answer, question.binary)

    return of


def _parameters(project_id: int, keys: list[str]) -> dict[str, Any]:
    return {"project": project_id, "keys": Texts(keys)}


def _answer(made: dict[str, int] | None, found: dict[str, int] | None) -> _Resolved:
    made = made or {}
    return _Resolved(made | (found or {}), list(made.values()))


_MAKE_CHALLENGES = _making("challenges", "consensus", "challenge_id")
_MAKE_RESPONDENTS = _making("respondents", "respondent_statistics", "respondent_id")

_CHALLENGES = _Names(_of(f"{_MAKE_CHALLENGES} SELECT {', '.join(_ANSWER)}"), _of(_finding("challenges")))
_RESPONDENTS = _Names(_of(f"{_MAKE_RESPONDENTS} SELECT {', '.join(_ANSWER)}"), _of(_finding("respondents")))
_KNOWN = replace(_CHALLENGES, make=_making_and_reading(_MAKE_CHALLENGES))
"""Challenges, with what is stored of those that are there."""


def _resolve(
    ask: Callable[[Sequence[Question[Any]]], list[Any]],
    project_id: int,
    asked: Sequence[tuple[_Names, Sequence[str]]],
) -> list[_Resolved]:
    """Ids of keys of some kinds, made where they are not there."""

    def resolved(ways: Sequence[_Of], wanted: Sequence[list[str]]) -> list[_Resolved]:
        """Of each kind; where nothing is wanted, nothing is asked."""
        found = iter(ask([way(project_id, keys) for way, keys in zip(ways, wanted, strict=True) if keys]))
        return [next(found) if keys else _Resolved({}, []) for keys in wanted]

    wanted = [sorted(set(keys), key=str.encode) for _, keys in asked]
    found = resolved([names.make for names, _ in asked], wanted)
    missing = [[key for key in keys if key not in some.ids] for keys, some in zip(wanted, found, strict=True)]
    if not any(missing):
        return found
    late = resolved([names.find for names, _ in asked], missing)  # these see what the inserts have waited for
    return [replace(some, ids=some.ids | more.ids) for some, more in zip(found, late, strict=True)]
