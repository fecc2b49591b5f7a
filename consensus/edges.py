"""The answers one by one, for models in which each carries a number of its own."""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.segment import Segments


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """The answers sorted by item, label and annotator, and how to sum over those of an item or of an annotator."""

    item: Tensor  # (N,)
    annotator: Tensor  # (N,)
    label: Tensor  # (N,)
    by_item: Segments  # item <- answer
    by_vote: Segments  # (item, label), numbered item * K + label <- answer
    by_annotator: Segments  # annotator <- answer


def connect(answers: Answers) -> Edges:
    I, J, K = answers.I, answers.J, answers.K
    keys = ((answers.item * K + answers.label) * J + answers.annotator).sort().values
    item, label, annotator = keys // max(J * K, 1), keys // max(J, 1) % K, keys % max(J, 1)
    places = torch.arange(answers.N, device=answers.device)
    order = ((annotator * K + label) * I + item).argsort(stable=True)
    return Edges(
        item,
        annotator,
        label,
        Segments.of(item, I, places, answers.N),
        Segments.of(item * K + label, I * K, places, answers.N),
        Segments.of(annotator[order], J, order, answers.N),
    )
