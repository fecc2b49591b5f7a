"""The crowd behind the gateway: an open pool of challenges that rolls, and respondents who come back.

A challenge has a number; its key, right answer, number of answers and whether it is gold follow from that. The pool's
places hold numbers; a challenge that has its answers leaves its place to the next number.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

OPTIONS = ("bear", "bird", "fish", "frog")
ANSWERS = 100
"""Answers in a POST."""
SITTINGS = 10
"""Respondents in a POST, each with as many answers."""
DISTINCT = (50, 100)
"""Distinct challenges in a POST, least and most."""
WANTED = (5, 9)
"""Answers after which a challenge leaves the pool, least and most; its last POST may bring one more."""
GOLD = 10
"""Of so many challenges one is gold."""
GUESSERS = 0.1
"""Share of respondents who guess."""
SKILL = (0.55, 0.95)
"""Between these the others are right."""
KEY = 20
"""Characters of a key."""

_ALPHABET = np.frombuffer(b"0123456789abcdefghjkmnpqrstvwxyz", dtype=np.uint8)
_CHALLENGE, _RESPONDENT, _TRUTH, _WANTED = (np.uint64(salt) for salt in (1, 3, 5, 7))


@dataclass(frozen=True, slots=True)
class Posts:
    """P POSTs in the order in which they are sent."""

    challenge: Ints
    """(P, 100) numbers; a respondent's ten answers stand together."""
    respondent: Ints
    """(P, 100)"""
    option: Ints
    """(P, 100) places in `OPTIONS`."""


class Crowd:
    """Equal seeds and sizes make equal crowds.

    Args:
        pool: challenges that are open at a time; at the beginning they wait for 1 to 9 answers.
    """

    def __init__(self, seed: int, pool: int = 100_000, respondents: int = 100_000) -> None:
        self._random = np.random.default_rng(seed)
        self._open = np.arange(pool)
        self._left = self._random.integers(1, WANTED[1], pool, endpoint=True)
        self._next = pool
        self._gilded = 0
        skill = self._random.uniform(*SKILL, respondents)
        self._skill = np.where(self._random.random(respondents) < GUESSERS, 1 / len(OPTIONS), skill)

    def posts(self, count: int) -> Posts:
        """The next POSTs."""
        challenge = self._challenges(count)
        respondent = self._distinct(count, SITTINGS, len(self._skill)).repeat(ANSWERS // SITTINGS, axis=1)
        right = self._random.random(challenge.shape) < self._skill[respondent]
        wrong = self._random.integers(1, len(OPTIONS), challenge.shape)
        return Posts(challenge, respondent, (truth(challenge) + np.where(right, 0, wrong)) % len(OPTIONS))

    def gold(self) -> Ints:
        """Gold among the challenges that were opened since this was last asked."""
        fresh = np.arange(self._gilded, self._next)
        self._gilded = self._next
        return np.asarray(fresh[fresh % GOLD == 0])

    def _challenges(self, count: int) -> Ints:
        """Answers to the same challenge stand at least 50 apart: they are of different respondents."""
        distinct = self._random.integers(*DISTINCT, count, endpoint=True)
        places = self._distinct(count, DISTINCT[1], len(self._open))
        chosen = np.empty_like(places)
        for row, number in enumerate(distinct):
            touched = places[row, :number]
            again = touched[: ANSWERS - number]
            chosen[row, :number] = self._open[touched]
            self._left[touched] -= 1
            self._left[again] -= 1
            done = touched[self._left[touched] <= 0]
            if len(done):
                fresh = np.arange(self._next, self._next + len(done))
                self._next += len(done)
                self._open[done], self._left[done] = fresh, wanted(fresh)
        return np.take_along_axis(chosen, np.arange(ANSWERS) % distinct[:, None], axis=1)

    def _distinct(self, rows: int, columns: int, below: int) -> Ints:
        """(rows, columns) uniform numbers, no two in a row equal: what repeats one to its left is drawn again."""
        drawn = self._random.integers(0, below, (rows, columns))
        while True:
            order = drawn.argsort(axis=1, kind="stable")
            ordered = np.take_along_axis(drawn, order, axis=1)
            row, place = np.nonzero(ordered[:, 1:] == ordered[:, :-1])
            if not len(row):
                return drawn
            drawn[row, order[row, place + 1]] = self._random.integers(0, below, len(row))


def truth(challenge: Ints) -> Ints:
    """The right options of challenges."""
    return (_hash(challenge, _TRUTH) % np.uint64(len(OPTIONS))).astype(np.int64)


def wanted(challenge: Ints) -> Ints:
    """How many answers challenges wait for."""
    least, most = WANTED
    return least + (_hash(challenge, _WANTED) % np.uint64(most - least + 1)).astype(np.int64)


def challenge_keys(challenge: Ints) -> Bytes:
    """(..., 20) ASCII."""
    return _keys(challenge, _CHALLENGE)


def respondent_keys(respondent: Ints) -> Bytes:
    """(..., 20) ASCII."""
    return _keys(respondent, _RESPONDENT)


def _keys(numbers: Ints, salt: np.uint64) -> Bytes:
    halves = _hash(numbers, salt), _hash(numbers, salt + np.uint64(1))
    found = np.empty((*numbers.shape, KEY), dtype=np.uint8)
    for place in range(KEY):
        shift = np.uint64(5 * (place // 2))
        found[..., place] = _ALPHABET[halves[place % 2] >> shift & np.uint64(31)]
    return found


def _hash(numbers: Ints, salt: np.uint64) -> npt.NDArray[np.uint64]:
    """SplitMix64 of 2^32 salt + number."""
    mixed = (numbers.astype(np.uint64) + (salt << np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
