"""Crowds whose truth is known, for the demo, the tests and the benchmarks."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from consensus.answers import Answers


class Kind(StrEnum):
    """What a simulated respondent is like."""

    HONEST = "honest"  # right with a skill of their own, errs to the neighbouring class more often than to others
    CARELESS = "careless"  # honest, but guesses half of the time
    BIASED = "biased"  # gives a favourite class half of the time
    SPAMMER = "spammer"  # guesses
    RING = "ring"  # one of a ring of bots that share their answers, most of them wrong


MIX = {Kind.HONEST: 0.46, Kind.CARELESS: 0.18, Kind.BIASED: 0.14, Kind.SPAMMER: 0.13, Kind.RING: 0.09}
SKILL = (0.45, 0.95)
RING_ACCURACY = 0.1
ACTIVITY_SPREAD = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """Simulated answers, in the order of their arrival, and what is true of them."""

    answers: Answers
    truth: Tensor  # (I,) int64
    kinds: tuple[Kind, ...]  # J
    confusion: Tensor  # (J, K, K) float64 [true class, label], what each respondent answers on average
    skill: Tensor  # (J,) float64, the expected accuracy of each


def simulate(
    seed: int,
    challenges: int = 2000,
    classes: int = 4,
    answers: int = 20_000,
    respondents: int = 150,
    mix: Mapping[Kind, float] = MIX,
) -> Crowd:
    """A crowd with :class:`Kind` in the shares of `mix`; equal arguments give equal crowds.

    Some classes are more frequent than others, some respondents more active. Nobody answers a challenge twice; every
    challenge gets an answer if there are as many answers as challenges.

    Raises:
        ValueError: more answers are asked for than half of the pairs of challenge and respondent.
    """
    if 2 * answers > challenges * respondents:
        raise ValueError(f"answers: {answers} are too many for {challenges} challenges and {respondents} respondents")
    I, J, K, N = challenges, respondents, classes, answers
    random = Generator().manual_seed(seed)
    shares = torch.arange(2 * K, K, -1, dtype=torch.float64)
    truth = torch.multinomial(shares, I, replacement=True, generator=random)
    kinds = _kinds(J, mix, random)
    confusion = _confusion(kinds, K, random)
    activity = torch.randn(J, dtype=torch.float64, generator=random).mul(ACTIVITY_SPREAD).exp()
    item, annotator = _assign(I, activity, N, random)

    label = torch.multinomial(confusion[annotator, truth[item]], 1, generator=random).squeeze(1)
    bot = _rows(torch.tensor([RING_ACCURACY]), K)[0]
    shared = torch.multinomial(bot[truth], 1, generator=random).squeeze(1)  # (I,)
    label = torch.where(_of(Kind.RING, kinds)[annotator], shared[item], label)
    skill = confusion.diagonal(dim1=1, dim2=2) @ (shares / shares.sum())
    return Crowd(Answers(item, annotator, label, I, J, K), truth, kinds, confusion, skill)


def _kinds(J: int, mix: Mapping[Kind, float], random: Generator) -> tuple[Kind, ...]:
    """J kinds in the shares of the mix, shuffled; what rounding leaves over is honest."""
    kinds = [kind for kind, share in mix.items() for _ in range(int(share * J))]
    kinds += [Kind.HONEST] * (J - len(kinds))
    return tuple(kinds[place] for place in torch.randperm(J, generator=random).tolist())


def _of(kind: Kind, kinds: tuple[Kind, ...]) -> Tensor:
    """(J,) bool."""
    return torch.tensor([each is kind for each in kinds])


def _confusion(kinds: tuple[Kind, ...], K: int, random: Generator) -> Tensor:
    """(J, K, K): skilled rows, mixed with guessing or with a favourite class as the kind has it."""
    J = len(kinds)
    low, high = SKILL
    skill = low + (high - low) * torch.rand(J, dtype=torch.float64, generator=random)
    favourite = one_hot(torch.randint(K, (J,), generator=random), K).to(torch.float64)
    guessing = _of(Kind.CARELESS, kinds).to(torch.float64) / 2 + _of(Kind.SPAMMER, kinds)
    favouring = _of(Kind.BIASED, kinds).to(torch.float64) / 2
    skill[_of(Kind.RING, kinds)] = RING_ACCURACY
    return (
        (1 - guessing - favouring)[:, None, None] * _rows(skill, K)
        + guessing[:, None, None] / K
        + favouring[:, None, None] * favourite[:, None, :]
    )


def _rows(skill: Tensor, K: int) -> Tensor:
    """(J,) -> (J, K, K): right with this probability; half of the errors go to the next class, half to any other."""
    right = torch.eye(K, dtype=torch.float64)
    if K == 1:
        return right.expand(len(skill), 1, 1)
    wrong = (right.roll(1, 1) + (1 - right) / (K - 1)) / 2
    return skill[:, None, None] * right + (1 - skill)[:, None, None] * wrong


def _assign(I: int, activity: Tensor, N: int, random: Generator) -> tuple[Tensor, Tensor]:
    """N distinct pairs of item and annotator in random order -> (N,), (N,)."""
    J = len(activity)
    pairs = torch.empty(0, dtype=torch.int64)
    item = torch.arange(N) % I
    while len(item):
        annotator = torch.multinomial(activity, len(item), replacement=True, generator=random)
        pairs = torch.cat([pairs, item * J + annotator]).unique()
        item = torch.randint(I, (N - len(pairs),), generator=random)
    pairs = pairs[torch.randperm(N, generator=random)]
    return pairs // J, pairs % J
