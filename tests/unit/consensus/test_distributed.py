from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.multiprocessing import ProcessRaisedException

from consensus.answers import Answers
from consensus.dawid_skene import MODEL
from consensus.distributed import ALONE, Ranks, launch
from consensus.form import Form
from consensus.layout import block_height
from consensus.simulation import simulate

K = 16
CHALLENGES = 5 * block_height(K) // 2


Content = tuple[Tensor, Tensor, Tensor, tuple[float, ...], str]


def fit_both(ranks: Ranks) -> dict[Form, Content]:
    """A fit in either form, of which every rank knows only the answers to its own items."""
    answers = crowd()
    span = ranks.span(answers.I, K)
    mine = (answers.item >= span.start) & (answers.item < span.stop)
    own = replace(answers, item=answers.item[mine], annotator=answers.annotator[mine], label=answers.label[mine])
    fits = {form: replace(MODEL, limit=12).fit(own, form=form, ranks=ranks) for form in Form}
    return {
        form: (fit.posterior, fit.published, fit.statistics, fit.objective, fit.prior.to_json())
        for form, fit in fits.items()
    }


def crowd() -> Answers:
    answers = simulate(1, CHALLENGES, K, 25_000, 40).answers
    gold = torch.full((answers.I,), -1)
    gold[::100] = 3
    return replace(answers, gold=gold)


@pytest.fixture(scope="module")
def alone() -> dict[Form, Content]:
    return fit_both(ALONE)


@pytest.mark.parametrize("size", [2, 4])
def test_ranks_give_the_bits_of_a_single_process(alone: dict[Form, Content], size: int) -> None:
    shared = launch(size, fit_both)

    for form in Form:
        for one, other in zip(shared[form][:3], alone[form][:3], strict=True):
            assert torch.equal(one, other)
        assert shared[form][3:] == alone[form][3:]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_ranks_share_out_every_item_in_whole_blocks(size: int) -> None:
    I = 3 * block_height(K) + 5
    spans = [Ranks(rank, size).span(I, K) for rank in range(size)]

    assert [item for span in spans for item in range(I)[span]] == list(range(I))
    assert all(span.start % block_height(K) == 0 or span.start == I for span in spans)


def breaks(ranks: Ranks) -> None:
    raise ArithmeticError(f"rank {ranks.rank}")


def test_an_error_of_a_rank_is_raised_here() -> None:
    with pytest.raises(ProcessRaisedException, match="ArithmeticError: rank 0"):
        launch(1, breaks)
