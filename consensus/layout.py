"""The two sorted orders of the answers, prepared once and used by every iteration."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.form import Form
from consensus.segment import Segments, integers
from consensus.threads import each

BLOCK = 2**16  # posteriors in a logical block
CHUNK = 2**17  # answers, about, in a part of the sums over annotators
PIECE = 2**16  # answers, about, to be sorted at a time,
PIECES = 16  # unless there are more than so many times as many


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Items:
    """Answers as seen from the items.

    FULL joins items with cells (annotator, label), numbered annotator * K + label; COIN joins votes (item, label),
    numbered item * K + label, with annotators. `evidence` sums what annotators say for each item or vote.
    """

    form: Form
    I: int
    J: int
    K: int
    evidence: Segments  # FULL: item <- cell; COIN: vote <- annotator
    gold: Tensor | None  # (I,) int64, -1 = not gold

    @property
    def apart(self) -> Segments:
        """FULL: item <- answer, for a table that has not a row for each cell but, in their order, for each answer."""
        cells = self.evidence.index
        places = torch.arange(cells.numel(), dtype=cells.dtype, device=cells.device)
        return replace(self.evidence, index=places)

    @property
    def votes(self) -> Tensor:
        """(I, K) float64, answers to each item by label."""
        lengths = self.evidence.lengths
        if self.form == Form.FULL:
            items = torch.arange(self.I, device=lengths.device).repeat_interleave(lengths)
            lengths = torch.bincount(items * self.K + self.evidence.index % self.K, minlength=self.I * self.K)
        return lengths.reshape(self.I, self.K).to(torch.float64)

    @property
    def idle(self) -> Tensor:
        """The items without answers, ascending."""
        lengths = self.evidence.lengths
        if self.form == Form.COIN:
            lengths = lengths.reshape(self.I, self.K).sum(1)
        return (lengths == 0).nonzero().squeeze(1)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Layout(Items):
    """Answers as a sparse table seen from both sides: `counts` sums posteriors for each cell or annotator.

    Each side is sorted on all three codes, so that the order in which answers came leaves no trace.
    """

    counts: Segments  # FULL: cell <- item; COIN: annotator <- vote

    @property
    def labels(self) -> Tensor:
        """(J, K) float64, answers of each annotator by label."""
        lengths = self.counts.lengths
        if self.form == Form.COIN:
            annotators = torch.arange(self.J, device=lengths.device).repeat_interleave(lengths)
            lengths = torch.bincount(annotators * self.K + self.counts.index % self.K, minlength=self.J * self.K)
        return lengths.reshape(self.J, self.K).to(torch.float64)

    def blocks(self) -> Iterator[Items]:
        """The logical blocks: `block_height` items at a time, in order, whatever the threads, chunks or ranks."""
        height = block_height(self.K)
        for number, part in enumerate(self.evidence.parts() if self.I else ()):
            first = number * height
            size = min(height, self.I - first)
            gold = None if self.gold is None else self.gold[first : first + size]
            yield Items(form=self.form, I=size, J=self.J, K=self.K, evidence=part, gold=gold)


def block_height(K: int) -> int:
    """Items in a logical block."""
    return -(-BLOCK // K)


def listed(answers: Answers, form: Form, finer: int = 1) -> Items:
    """Sort the answers by item, in pieces, and in so many times as many if memory is short."""
    I, J, K = answers.I, answers.J, answers.K
    (left, S), (right, R) = _sides(answers, form)
    height = block_height(K) if form == Form.FULL else block_height(K) * K
    evidence = _join(left, S, right, R, height, _pieces(answers) * finer)
    return Items(form=form, I=I, J=J, K=K, evidence=evidence, gold=answers.gold)


def arrange(answers: Answers, form: Form, finer: int = 1) -> Layout:
    """Sort the answers both ways, as :func:`listed` does one."""
    I, J, K = answers.I, answers.J, answers.K
    evidence = listed(answers, form, finer).evidence
    (left, S), (right, R) = _sides(answers, form)
    annotators = -(-J * CHUNK // max(answers.N, 1))
    counts = _join(right, R, left, S, annotators * R // max(J, 1), _pieces(answers) * finer)
    return Layout(form=form, I=I, J=J, K=K, evidence=evidence, counts=counts, gold=answers.gold)


def _sides(answers: Answers, form: Form) -> tuple[tuple[Tensor, int], tuple[Tensor, int]]:
    """What an answer joins, from the items' side and from the annotators', and how many of each there are."""
    I, J, K = answers.I, answers.J, answers.K
    if form == Form.FULL:
        return (answers.item.to(integers(I)), I), (_paired(answers.annotator, J, answers.label, K), J * K)
    return (_paired(answers.item, I, answers.label, K), I * K), (answers.annotator.to(integers(J)), J)


def _pieces(answers: Answers) -> int:
    return min(-(-answers.N // PIECE), PIECES)


def _paired(code: Tensor, size: int, label: Tensor, K: int) -> Tensor:
    """code * K + label."""
    return code.to(integers(size * K), copy=True).mul_(K).add_(label)


def _join(segment: Tensor, S: int, row: Tensor, R: int, height: int, pieces: int) -> Segments:
    """Sorted by row and then, leaving equals in their order, by segment; few answers by both at once."""
    if pieces <= 1:
        keys = segment.to(torch.int64, copy=True).mul_(R).add_(row).sort().values
        return Segments.from_lengths(torch.bincount(segment, minlength=S), keys.remainder_(max(R, 1)), R, height)
    width = max(-(-S // pieces), 1)
    piece = segment.div(width, rounding_mode="floor").to(torch.int16) if width < S else None

    def order(first: int) -> tuple[Tensor, Tensor]:
        mine = slice(None) if piece is None else (piece == first // width).nonzero().squeeze(1)
        rows, places = row[mine].sort(stable=True)
        segments, places = segment[mine][places].sub_(first).sort(stable=True)
        return torch.bincount(segments, minlength=min(width, S - first)), rows[places]

    ordered = each(order, range(0, S, width), segment.device)
    lengths = torch.cat([lengths for lengths, _ in ordered]) if ordered else segment.new_zeros(0)
    index = torch.cat([index for _, index in ordered]) if ordered else row
    return Segments.from_lengths(lengths, index, R, height)
