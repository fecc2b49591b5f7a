"""What a verdict is made of: what the prior and each answer say of the classes, and what is done to their sum."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from consensus.answers import Answers

Step = tuple[str, Tensor]


class Scale(StrEnum):
    """In what scores add up."""

    LOG = "log"  # log-probabilities, but for a constant of the item
    SHARE = "share"  # probabilities: votes, weighted or not


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """Scores of the classes of items. `prior` and the `answers` to an item add up to its score before all `steps`.

    A model that needs more than such a sum names no sum and has all in its steps.
    """

    scale: Scale
    prior: Tensor  # (I, K)
    answers: Tensor  # (N, K), in the order of the answers
    steps: tuple[Step, ...] = ()  # (I, K) the score after each step; the last is that of the published probabilities
    decisive: bool = True  # whichever answers are left, the class with the largest sum of their scores leads


def logs(joint: Callable[[Answers], Tensor], answers: Answers, *steps: Step, decisive: bool = True) -> Account:
    """The account of a model whose log p(answers, class) (I, K) is a sum over answers.

    `joint` is the model's own, unclamped; what an answer says is what it adds to an item without answers.
    """
    prior = joint(_without_answers(answers))
    return Account(Scale.LOG, prior, joint(apart(answers)) - prior[answers.item], steps, decisive)


def votes(answers: Answers, weight: Tensor) -> Account:
    """The account of a weighted vote: weight (N,) of each answer, if negative for the other of two classes.

    Where all weights of an item are zero each answer weighs the same.
    """
    size = weight.abs()
    silent = _sums(answers, size)[answers.item] <= 0
    weight, size = torch.where(silent, 1, weight), torch.where(silent, 1, size)
    label = torch.where(weight < 0, 1 - answers.label, answers.label)
    shares = size / _sums(answers, size)[answers.item]
    prior = shares.new_zeros(answers.I, answers.K)
    return Account(Scale.SHARE, prior, shares[:, None] * one_hot(label, answers.K))


def apart(answers: Answers) -> Answers:
    """Each answer to an item of its own, gold forgotten."""
    N = answers.N
    item = torch.arange(N, device=answers.device)
    return Answers(item, answers.annotator, answers.label, N, answers.J, answers.K)


def _without_answers(answers: Answers) -> Answers:
    none = answers.item[:0]
    return Answers(none, none, none, answers.I, answers.J, answers.K)


def _sums(answers: Answers, values: Tensor) -> Tensor:
    return values.new_zeros(answers.I).index_add(0, answers.item, values)
