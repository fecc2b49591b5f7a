"""A simulated crowd as its clients would send it, and what is known to be true of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consensus.simulation import Crowd


@dataclass(frozen=True)
class Respondent:
    """What the simulation made of a respondent."""

    kind: str
    skill: float
    """The expected share of right answers."""


@dataclass(frozen=True)
class SimulatedCrowd:
    """Answers in the order in which they arrive, and the truth, by keys.

    Args:
        answers: as the API takes them.
        majority_accuracy: share of challenges that a majority vote gets right, a tie counting 1 / number tied.
    """

    classes: tuple[str, ...]
    answers: tuple[Mapping[str, str], ...]
    truth: Mapping[str, str]
    respondents: Mapping[str, Respondent]
    majority_accuracy: float

    def batches(self, count: int) -> Iterator[Sequence[Mapping[str, str]]]:
        """The answers in at most `count` batches of nearly equal size."""
        size = -(-len(self.answers) // count)
        for start in range(0, len(self.answers), size):
            yield self.answers[start : start + size]

    def accuracy(self, verdicts: Mapping[str, str | None]) -> float:
        """Share of all challenges whose verdict is the truth."""
        return sum(verdicts.get(challenge) == answer for challenge, answer in self.truth.items()) / len(self.truth)


def simulated_crowd(seed: int, challenges: int, answers: int, classes: int = 4) -> SimulatedCrowd:
    """Simulate a crowd; equal arguments give equal crowds.

    Raises:
        ValueError: so many answers cannot be given to so few challenges.
    """
    from consensus import registry
    from consensus.scores import score
    from consensus.simulation import simulate

    crowd = simulate(seed, challenges, classes, answers)
    majority = score(registry.get("majority").fit(crowd.answers).posterior, crowd.truth)
    return _keyed(crowd, majority.accuracy)


def _keyed(crowd: "Crowd", majority_accuracy: float) -> SimulatedCrowd:
    names = tuple(chr(ord("a") + code) for code in range(crowd.answers.K))
    challenge = [f"c{number:05d}" for number in range(crowd.answers.I)]
    respondent = [f"r{number:03d}" for number in range(crowd.answers.J)]
    rows = zip(crowd.answers.item.tolist(), crowd.answers.annotator.tolist(), crowd.answers.label.tolist(), strict=True)
    return SimulatedCrowd(
        classes=names,
        answers=tuple(
            {"challenge": challenge[item], "respondent": respondent[annotator], "answer": names[label]}
            for item, annotator, label in rows
        ),
        truth={challenge[item]: names[label] for item, label in enumerate(crowd.truth.tolist())},
        respondents={
            key: Respondent(str(kind), skill)
            for key, kind, skill in zip(respondent, crowd.kinds, crowd.skill.tolist(), strict=True)
        },
        majority_accuracy=majority_accuracy,
    )
