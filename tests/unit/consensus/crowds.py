"""Small crowds for tests."""

from collections.abc import Sequence

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from consensus.answers import Answers
from consensus.simulation import simulate

PROPERTY = settings(derandomize=True, deadline=None, max_examples=30)


def answers_of(
    triples: Sequence[tuple[int, int, int]], I: int, J: int, K: int, gold: Sequence[int] | None = None
) -> Answers:
    table = torch.tensor(triples, dtype=torch.int64).reshape(-1, 3)
    known = None if gold is None else torch.tensor(gold, dtype=torch.int64)
    return Answers(table[:, 0], table[:, 1], table[:, 2], I, J, K, known)


def triples_of(answers: Answers) -> list[tuple[int, int, int]]:
    return list(zip(answers.item.tolist(), answers.annotator.tolist(), answers.label.tolist(), strict=True))


def small_crowd(seed: int = 1, classes: int = 4) -> Answers:
    """120 items, 30 annotators, 600 answers."""
    return simulate(seed, challenges=120, classes=classes, answers=600, respondents=30).answers


def shuffled(answers: Answers, seed: int) -> Answers:
    order = torch.randperm(answers.N, generator=torch.Generator().manual_seed(seed)).to(answers.device)
    return Answers(
        answers.item[order],
        answers.annotator[order],
        answers.label[order],
        answers.I,
        answers.J,
        answers.K,
        answers.gold,
    )


def permutation(size: int, seed: int) -> Tensor:
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


@st.composite
def crowds(draw: st.DrawFn, classes: int = 4) -> Answers:
    """Any crowd of a few items, annotators and classes: with repeats, idle annotators, unanswered items, gold."""
    I, J, K = draw(st.integers(1, 6)), draw(st.integers(1, 4)), draw(st.integers(2, classes))
    triple = st.tuples(st.integers(0, I - 1), st.integers(0, J - 1), st.integers(0, K - 1))
    gold = draw(st.none() | st.lists(st.integers(-1, K - 1), min_size=I, max_size=I))
    return answers_of(draw(st.lists(triple, max_size=25)), I, J, K, gold)
