"""Items without what one annotator says of them, for models of which nothing but what they publish is known."""

from collections.abc import Callable

import torch
from torch import Tensor

from consensus.answers import Answers

CHUNK = 2**20


def exclude(publish: Callable[[Answers], Tensor], answers: Answers, some: Tensor) -> Tensor:
    """(M, K) what is published of the items of some (M,) answers, each without all answers of its own annotator.

    Every one of them is an item of its own with all answers to it but those: as many times as much work.
    """
    order = answers.item.argsort(stable=True)
    sizes = torch.bincount(answers.item, minlength=answers.I)
    first = sizes.cumsum(0) - sizes

    def judge(some: Tensor) -> Tensor:
        size = sizes[answers.item[some]]
        case = torch.arange(len(some), device=some.device).repeat_interleave(size)  # (E,) each with all of its item
        place = torch.arange(len(case), device=some.device) - (size.cumsum(0) - size)[case]
        other = order[first[answers.item[some]][case] + place]
        foreign = answers.annotator[other] != answers.annotator[some][case]
        case, other = case[foreign], other[foreign]
        return publish(Answers(case, answers.annotator[other], answers.label[other], len(some), answers.J, answers.K))

    height = max(1, CHUNK // max(int(sizes.max()) if answers.I else 1, 1))
    return torch.cat([judge(some) for some in some.split(height)])
