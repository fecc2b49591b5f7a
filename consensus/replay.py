"""Gold replayed: what would have been thought of it after each of its answers.

A fit that knows the class of gold has counted its answers as right or wrong. Each is judged here by what its
annotator's statistics are without that challenge, so that gold looks as any other challenge does.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from consensus.answers import Answers
from consensus.form import Form
from consensus.model import Model
from consensus.prior import Prior
from consensus.statistics import count

LONGEST = 32


@dataclass(frozen=True, slots=True, eq=False)
class Prefixes:
    """M states of items, the arguments of `tempering.learn`."""

    posterior: Tensor  # (M, K) raw, as if the class were unknown
    answers: Tensor  # (M,) how many
    likelihood: Tensor  # (M, K) of what came after, by true class: one-hot
    weight: Tensor  # (M,) each item's states add up to 1


def prefixes(model: Model, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Prefixes:
    """The states after each answer to gold, the first `LONGEST` of each.

    Args:
        answers: to gold, at least, in the order of their arrival; annotators as in `statistics`.
        statistics: (J, width) that count these answers with gold's classes.
        prior: the project's.

    Raises:
        ValueError: there is no gold.
    """
    if answers.gold is None:
        raise ValueError("gold: nothing to replay")
    mine = (answers.gold[answers.item] >= 0).nonzero().squeeze(1)
    mine = mine[answers.item[mine].argsort(stable=True)]  # (M,)
    item = answers.item[mine]
    mine = mine[torch.arange(len(mine), device=mine.device) - torch.searchsorted(item, item) < LONGEST]
    item, label, M = answers.item[mine], answers.label[mine], len(mine)
    places = torch.arange(M, device=mine.device)
    truth = one_hot(answers.gold[item], answers.K).to(torch.float64)
    own = count(form, Answers(places, places, label, M, M, answers.K), truth)
    size = places - torch.searchsorted(item, item) + 1
    state = places.repeat_interleave(size)  # the prefix that ends at this answer
    within = torch.arange(len(state), device=mine.device) - (size.cumsum(0) - size)[state]
    answer = state - size[state] + 1 + within
    every = Answers(state, answer, label[answer], M, M, answers.K)
    posterior = model.update(every, statistics[answers.annotator[mine]] - own, prior, form=form)
    weight = 1 / torch.bincount(item, minlength=answers.I)[item].to(torch.float64)
    return Prefixes(posterior, size, truth, weight)
