"""The two sorted orders of the answers, prepared once and used by every iteration."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.form import Form
from consensus.segment import Segments, integers
from consensus.threads import each

BLOCK = 2**17  # posteriors in a logical block, at most,
ITEMS = 2**15  # and items
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
    return min(-(-BLOCK // K), ITEMS)


def listed(answers: Answers, form: Form, finer: int = 1) -> Items:
    """Sort the answers by item, in pieces, and in so many times as many if memory is short."""
    I, J, K = answers.I, answers.J, answers.K
    S, R = _sides(answers, form)
    if form == Form.FULL:
        segment, row = answers.item.to(integers(I), copy=True), _paired(answers.annotator, J, answers.label, K)
        height = block_height(K)
    else:
        segment, row = _paired(answers.item, I, answers.label, K), answers.annotator.to(integers(J), copy=True)
        height = block_height(K) * K
    evidence = _join(segment, S, row, R, height, _pieces(answers) * finer)
    return Items(form=form, I=I, J=J, K=K, evidence=evidence, gold=answers.gold)


def arrange(answers: Answers, form: Form, finer: int = 1) -> Layout:
    """Sort the answers by item, as :func:`listed` does, and then by annotator, which keeps the order of the items."""
    I, J, K = answers.I, answers.J, answers.K
    S, R = _sides(answers, form)
    evidence = listed(answers, form, finer).evidence
    segment, row = evidence.index.clone(), torch.arange(S, dtype=integers(S), device=evidence.index.device)
    annotators = -(-J * CHUNK // max(answers.N, 1))
    height = annotators * R // max(J, 1)
    row = row.repeat_interleave(evidence.lengths, output_size=answers.N)
    counts = _join(segment, R, row, S, height, _pieces(answers) * finer, ordered=True)
    return Layout(form=form, I=I, J=J, K=K, evidence=evidence, counts=counts, gold=answers.gold)


def _sides(answers: Answers, form: Form) -> tuple[int, int]:
    """How much there is on the items' side and on the annotators' for an answer to join."""
    if form == Form.FULL:
        return answers.I, answers.J * answers.K
    return answers.I * answers.K, answers.J


def _pieces(answers: Answers) -> int:
    return min(max(-(-answers.N // PIECE), 1), PIECES)


def _paired(code: Tensor, size: int, label: Tensor, K: int) -> Tensor:
    """code * K + label."""
    return code.to(integers(size * K), copy=True).mul_(K).add_(label)


def _join(segment: Tensor, S: int, row: Tensor, R: int, height: int, pieces: int, *, ordered: bool = False) -> Segments:
    """Sorted by segment and then by row, by which answers come `ordered` or not; both codes are used up."""
    width = max(-(-S // pieces), 1)
    runs = _runs(segment, S, row, width)
    sizes = [sum(len(run[number][0]) for run in runs) for number in range(-(-S // width))]
    ends, index = list(accumulate(sizes)), torch.empty_like(row)

    def sort(number: int) -> Tensor:
        first, place = number * width, index[ends[number] - sizes[number] : ends[number]]
        segments, rows = (torch.cat(codes) for codes in zip(*(run[number] for run in runs), strict=True))
        segments.sub_(first)
        if ordered:
            torch.index_select(rows, 0, segments.sort(stable=True).indices, out=place)
        else:
            keys = segments.to(torch.int64).mul_(R).add_(rows).sort().values
            place.copy_(keys.remainder_(max(R, 1)))
        return torch.bincount(segments, minlength=min(width, S - first))

    lengths = each(sort, range(len(sizes)), segment.device)
    return Segments.from_lengths(torch.cat(lengths) if lengths else segment.new_zeros(0), index, R, height)


def _runs(segment: Tensor, S: int, row: Tensor, width: int) -> list[list[tuple[Tensor, Tensor]]]:
    """Both codes of the answers in runs, each divided, where it is, into pieces of `width` segments in their order."""
    pieces = -(-S // width)
    if pieces <= 1:
        return [[(segment, row)]]

    def divide(run: tuple[Tensor, Tensor]) -> list[tuple[Tensor, Tensor]]:
        piece, order = run[0].div(width, rounding_mode="floor").to(torch.int32).sort(stable=True)
        sizes = torch.bincount(piece, minlength=pieces).tolist()
        for codes in run:
            codes.copy_(codes[order])
        return list(zip(*(codes.split(sizes) for codes in run), strict=True))

    return each(divide, zip(segment.chunk(pieces), row.chunk(pieces), strict=True), segment.device)
