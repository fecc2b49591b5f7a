"""What answers say of items, added up in whatever order they come, and taken out again.

Logarithms of probabilities are put on a grid before they are added up (`digits.LOGS`), which moves a posterior by less
than 1e-10 an answer. Sums on a grid have no rounding, so that order leaves no trace: nothing is sorted, items that the
same answers were given to have the same sums to the bit, and an item without one of its answers is a difference.
"""

from collections.abc import Callable
from dataclasses import dataclass
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
    sums: Tensor  # (C, I): FULL K classes, Σ w, Σ w^2; COIN K classes beyond being wrong, being wrong, Σ w, Σ w^2
    said: Tensor | None = None  # (L + 2, N) what each answer adds, where it may be taken out again

    @property
    def heard(self) -> Heard:
        sums = self.sums * STEP
        evidence, size, square = sums[: self.K], sums[-2], sums[-1]
        if self.form == Form.COIN:
            evidence = evidence + sums[self.K]
        return Heard(evidence.t(), worth(size, square)[:, None])

    def without(self, answers: Answers, some: Tensor) -> "Hearing":
        """M items: those of some (M,) of the answers, each without this answer of it.

        Raises:
            ValueError: what each answer said was not kept.
        """
        if self.said is None:
            raise ValueError("said: what single answers said was not kept")
        rest = self.sums.index_select(1, answers.item.index_select(0, some))
        own = self.said.index_select(1, some)
        if self.form == Form.COIN:
            each = torch.arange(some.numel(), device=some.device)
            own, said = torch.zeros_like(rest), own
            _put(own, self.form, self.K, each, answers.label.index_select(0, some), said)
        return Hearing(self.form, self.K, rest.sub_(own))


def listen(answers: Answers, voice: Voice, form: Form, *, keep: bool = False) -> Hearing:
    """Add up what all answers say; `keep` it, to take some of them out again."""
    rows = answers.K + (2 if form == Form.FULL else 3)
    sums = torch.zeros(rows, answers.I, dtype=torch.float64, device=answers.device)
    codes = (answers.item, answers.annotator, answers.label)
    kept = []
    for item, annotator, label in zip(*(code.split(PART) for code in codes), strict=True):
        said = _said(voice(annotator, label))
        _put(sums, form, answers.K, item, label, said)
        if keep:
            kept.append(said)
    return Hearing(form, answers.K, sums, torch.cat(kept, 1) if len(kept) > 1 else kept[0] if keep else None)


def _said(voice: Tensor) -> Tensor:
    """(L, N) logarithms -> (L + 2, N) in steps of the grid: these, by how much they tell classes apart, its square."""
    L, N = voice.shape
    columns = voice.new_empty(L + 2, N)
    steps, size, square = columns[:L], columns[L], columns[L + 1]
    torch.mul(voice, 1 / STEP, out=steps).round_()
    torch.sub(steps.amax(0), steps.amin(0), out=size)
    torch.mul(size, size, out=square).mul_(STEP).round_()
    return columns


def _put(sums: Tensor, form: Form, K: int, item: Tensor, label: Tensor, said: Tensor) -> None:
    if form == Form.COIN:
        sums.view(-1).index_add_(0, torch.add(item, label, alpha=sums.shape[1]), said[0] - said[1])
        sums, said = sums[K:], said[1:]
    sums.index_add_(1, item, said)
