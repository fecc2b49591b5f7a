"""The two sorted orders of the answers, prepared once and used by every iteration."""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.form import Form
from consensus.segment import Segments


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Answers as a sparse table seen from both sides.

    FULL joins items with cells (annotator, label), numbered annotator * K + label; COIN joins votes (item, label),
    numbered item * K + label, with annotators. `evidence` sums what annotators say for each item or vote, `counts` sums
    posteriors for each cell or annotator. Both are sorted on all three codes, so that the order in which answers came
    leaves no trace.
    """

    form: Form
    I: int
    J: int
    K: int
    evidence: Segments  # FULL: item <- cell; COIN: vote <- annotator
    counts: Segments  # FULL: cell <- item; COIN: annotator <- vote
    labels: Tensor  # (J, K) float64, answers of each annotator by label
    votes: Tensor  # (I, K) float64, answers to each item by label
    gold: Tensor | None  # (I,) int64, -1 = not gold


def arrange(answers: Answers, form: Form) -> Layout:
    """Sort the answers for `form`."""
    I, J, K = answers.I, answers.J, answers.K
    item, label, annotator = answers.item, answers.label, answers.annotator
    by_item = ((item * K + label) * J + annotator).sort().values
    by_annotator = ((annotator * K + label) * I + item).sort().values
    vote, answerer = by_item // max(J, 1), by_item % max(J, 1)
    cell, answered = by_annotator // max(I, 1), by_annotator % max(I, 1)
    if form == Form.FULL:
        evidence = Segments.of(vote // K, I, answerer * K + vote % K, J * K)
        counts = Segments.of(cell, J * K, answered, I)
    else:
        evidence = Segments.of(vote, I * K, answerer, J)
        counts = Segments.of(cell // K, J, answered * K + cell % K, I * K)
    labels = torch.bincount(cell, minlength=J * K).to(torch.float64).reshape(J, K)
    votes = torch.bincount(vote, minlength=I * K).to(torch.float64).reshape(I, K)
    return Layout(form, I, J, K, evidence, counts, labels, votes, answers.gold)
