"""From posteriors to verdicts: what the project's rule says of a challenge, and what of it is worth a version."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from consensus.fit import TIE
from consensus.stopping import Rule, stop
from db.projects import Rules
from workers.scheme import Scheme, tensor

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts on I challenges."""

    answer: Ints
    """Canonical place of the class, -1 where nobody has answered."""
    confidence: Floats
    status: Ints
    """Places in `db.models.challenge.STATUSES`, which are those of `consensus.stopping.Status`."""


def judge(scheme: Scheme, posterior: Floats, raw: Floats, answers: Ints, skips: Ints, device: torch.device) -> Judged:
    """What the project's rule says: what is published and the raw posterior (I, K) in canonical order, counted answers
    and skips (I,). The raw one is looked at as far as a fit has found out how far to trust it.
    """
    asked = tensor(answers, device), rule(scheme, device), tensor(skips, device)
    if scheme.caution is None:
        stopped = stop(tensor(posterior, device), *asked)
    else:
        stopped = scheme.caution.stop(tensor(raw, device), *asked)
    if scheme.rules.cost_matrix is None:
        answer = (posterior >= posterior.max(1, keepdims=True) - TIE).argmax(1)
    else:
        answer = stopped.answer.cpu().numpy()
    return Judged(np.where(answers > 0, answer, -1), posterior.max(1), stopped.status.cpu().numpy())


@lru_cache(maxsize=64)
def rule(scheme: Scheme, device: torch.device) -> Rule:
    """The project's rule, with costs in canonical order as what is lost by a verdict against the best one."""
    rules = scheme.rules
    return Rule(
        target=rules.target_error,
        minimum=rules.min_answers,
        maximum=rules.max_answers,
        cost=None if rules.cost_matrix is None else _losses(rules, scheme.keys, device),
        price=rules.answer_cost,
    )


def _losses(rules: Rules, keys: tuple[str, ...], device: torch.device) -> torch.Tensor:
    """(K, K) [decided, true]; of classes that the matrix does not know, 1 for a wrong verdict."""
    matrix = rules.cost_matrix or {}
    table = 1 - np.eye(len(keys))
    for true, key in enumerate(keys):
        row = matrix.get(key, {})
        for decided, verdict in enumerate(keys):
            if verdict in row and key in row:
                table[decided, true] = row[verdict] - row[key]
    return tensor(table, device)


def digest(item: Ints, respondent: Ints, choice: Ints, items: int) -> Ints:
    """(I,) a sum, modulo 2^64, of hashes of the answers (respondent, choice) to each item: their order is no matter.

    The hash is the finaliser of splitmix64 (Steele, Lea & Flood 2014), applied twice.
    """
    mixed = _mix(_mix(respondent.astype(np.uint64)) + choice.astype(np.uint64))
    sums = np.zeros(items, dtype=np.uint64)
    np.add.at(sums, item, mixed)
    return sums.view(np.int64)


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
