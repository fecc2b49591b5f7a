"""What answers say of items, added up in whatever order they come, and taken out again.

Logarithms of probabilities are put on a grid before they are added up (`digits.LOGS`), which moves a posterior by less
than 1e-10 an answer. Sums on a grid have no rounding, so that order leaves no trace: nothing is sorted, items that the
same answers were given to have the same sums to the bit, and an item without one of its answers is a difference.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.correlation import Heard, worth
from consensus.digits import LOGS
from consensus.form import Form

PART = 2**14  # answers whose columns are worked out at a time: they fit in the cache
STEP = LOGS.step

Voice: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""annotator (N,), label (N,) -> log p(label | true class) of each answer: FULL (K, N), COIN (2, N), right and wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class Hearing:
    """Sums over the answers to I items, in steps of the grid: of what each says, by how much it tells classes apart."""

    form: Form
    K: int
    voice: Voice
    sums: Tensor  # (C, I): FULL K classes, Σ w, Σ w^2; COIN K classes beyond being wrong, being wrong, Σ w, Σ w^2

    @property
    def heard(self) -> Heard:
        sums = self.sums * STEP
        evidence, size, square = sums[: self.K], sums[-2], sums[-1]
        if self.form == Form.COIN:
            evidence = evidence + sums[self.K]
        return Heard(evidence.t(), worth(size, square)[:, None])

    def without(self, answers: Answers, some: Tensor) -> "Hearing":
        """M items: those of some (M,) of the answers, each without this answer of it."""
        item = answers.item[some]
        each = torch.arange(item.numel(), device=item.device)
        own = torch.zeros(len(self.sums), item.numel(), dtype=self.sums.dtype, device=item.device)
        _add(own, self.form, self.K, self.voice, each, answers.annotator[some], answers.label[some])
        return replace(self, sums=self.sums[:, item].sub_(own))


def listen(answers: Answers, voice: Voice, form: Form) -> Hearing:
    """Add up what all answers say."""
    rows = answers.K + (2 if form == Form.FULL else 3)
    sums = torch.zeros(rows, answers.I, dtype=torch.float64, device=answers.device)
    codes = (answers.item, answers.annotator, answers.label)
    for part in zip(*(code.split(PART) for code in codes), strict=True):
        _add(sums, form, answers.K, voice, *part)
    return Hearing(form, answers.K, voice, sums)


def _add(sums: Tensor, form: Form, K: int, voice: Voice, item: Tensor, annotator: Tensor, label: Tensor) -> None:
    said = voice(annotator, label)
    L = len(said)
    columns = said.new_empty(L + 2, item.numel())
    steps, size, square = columns[:L], columns[L], columns[L + 1]
    torch.mul(said, 1 / STEP, out=steps).round_()
    torch.sub(steps.amax(0), steps.amin(0), out=size)
    torch.mul(size, size, out=square).mul_(STEP).round_()
    if form == Form.COIN:
        right, wrong = steps
        sums.view(-1).index_add_(0, torch.add(item, label, alpha=sums.shape[1]), right.sub_(wrong))
        sums, columns = sums[K:], columns[1:]
    sums.index_add_(1, item, columns)
