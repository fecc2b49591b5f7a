"""The accuracy of published verdicts against known answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_TIED = 1e-9


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The share of `scored` challenges that are right: those with both a verdict and a known answer."""

    value: float | None
    scored: int


def accuracy(verdicts: Iterable[Mapping[str, Any]], truth: Mapping[str, str]) -> Accuracy:
    """Score verdicts as the API streams them; a right answer among n that tie for the first place counts 1/n."""
    right, scored = 0.0, 0
    for verdict in verdicts:
        answer = truth.get(verdict["challenge"])
        if answer is None:
            continue
        posterior = verdict["posterior"]
        most = max(posterior.values())
        tied = [name for name, share in posterior.items() if share >= most - _TIED]
        right += (answer in tied) / len(tied)
        scored += 1
    return Accuracy(right / scored if scored else None, scored)
