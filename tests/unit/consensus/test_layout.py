import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from consensus.answers import Answers
from consensus.form import Form
from consensus.layout import PIECE, arrange, block_height
from consensus.votes import shares
from tests.unit.consensus.crowds import PROPERTY, crowds, shuffled, triples_of

FORMS = pytest.mark.parametrize("form", Form)


def large_crowd(N: int, K: int) -> Answers:
    """Every item has 3 answers and every sixth none."""
    random = torch.Generator().manual_seed(1)
    I, J = 2 * N // 5, 50
    item = torch.arange(N) % (N // 3)
    annotator = torch.randint(J, (N,), generator=random)
    return Answers(item, annotator, torch.randint(K, (N,), generator=random), I, J, K)


@FORMS
@given(answers=crowds(), finer=st.sampled_from([1, 3]))
@PROPERTY
def test_both_sides_list_every_answer_in_canonical_order(form: Form, answers: Answers, finer: int) -> None:
    layout = arrange(answers, form, finer)
    K = answers.K
    pairs = []
    for item, annotator, label in triples_of(answers):
        pairs.append((item, annotator * K + label) if form == Form.FULL else (item * K + label, annotator))

    for segments, expected in ((layout.evidence, pairs), (layout.counts, [(b, a) for a, b in pairs])):
        segment = torch.arange(segments.lengths.numel()).repeat_interleave(segments.lengths)
        assert list(zip(segment.tolist(), segments.index.tolist(), strict=True)) == sorted(expected)


@FORMS
@given(answers=crowds())
@PROPERTY
def test_tables_of_votes_and_labels(form: Form, answers: Answers) -> None:
    layout = arrange(answers, form)
    votes, labels = torch.zeros(answers.I, answers.K), torch.zeros(answers.J, answers.K)
    for item, annotator, label in triples_of(answers):
        votes[item, label] += 1
        labels[annotator, label] += 1

    assert torch.equal(layout.votes, votes.to(torch.float64))
    assert torch.equal(layout.labels, labels.to(torch.float64))
    assert layout.idle.tolist() == [i for i in range(answers.I) if not votes[i].any()]


@FORMS
def test_pieces_make_no_difference(form: Form) -> None:
    answers = large_crowd(3 * PIECE // 2, 3)
    one, other = arrange(answers, form), arrange(shuffled(answers, 1), form, finer=5)

    for mine, yours in ((one.evidence, other.evidence), (one.counts, other.counts)):
        assert torch.equal(mine.index, yours.index)
        assert torch.equal(mine.offsets, yours.offsets)


@FORMS
def test_blocks_are_the_layout_cut_between_items(form: Form) -> None:
    K = 16
    answers = large_crowd(30_000, K)
    layout = arrange(answers, form)

    blocks = list(layout.blocks())

    assert len(blocks) == -(-answers.I // block_height(K)) > 1
    assert torch.equal(torch.cat([block.votes for block in blocks]), layout.votes)
    assert torch.equal(torch.cat([shares(block) for block in blocks]), shares(layout))
