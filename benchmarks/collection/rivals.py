"""Rules that others stop by. Each takes a challenge's answers as they arrive and stops at the first that suffices.

A challenge whose answers run out keeps what it has. All learn whom to trust from gold before the collection starts.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from consensus.answers import Answers

UNINFORMED = 0.5  # what SWAP takes a respondent for, in either class, that saw no gold


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """Answers ordered by challenge and, within it, by arrival: running sums over a challenge's answers so far."""

    answers: Answers
    place: Tensor  # (N,) of each answer among those to its challenge, from 0

    @classmethod
    def of(cls, answers: Answers, order: Tensor) -> "Arrivals":
        """`order` lists the answers as they arrive."""
        by_item = order[answers.item[order].argsort(stable=True)]
        item = answers.item[by_item]
        sorted_ = Answers(item, answers.annotator[by_item], answers.label[by_item], answers.I, answers.J, answers.K)
        start = torch.searchsorted(item, torch.arange(answers.I))
        return cls(sorted_, torch.arange(len(item)) - start[item])

    def running(self, what: Tensor) -> Tensor:
        """(N, K) by answer -> (N, K), summed over the challenge's answers up to this one."""
        total = what.to(torch.float64).cumsum(0)
        before = total - what
        return total - before[torch.arange(len(what)) - self.place]

    def until(self, enough: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """(N,) bool, (N, K) after each answer -> (I,) answers used, (I, K) scores at the stop, 0 without answers."""
        item, I = self.answers.item, self.answers.I
        last = torch.full((I,), -1).scatter_reduce(0, item, torch.arange(len(item)), "amax")
        places = torch.where(enough, torch.arange(len(item)), len(item))
        first = torch.full((I,), len(item)).scatter_reduce(0, item, places, "amin")
        stop = torch.minimum(first, last)
        some = stop >= 0
        found = torch.where(some[:, None], scores[stop], 0.0)
        return torch.where(some, self.place[stop] + 1, 0), found

    @property
    def votes(self) -> Tensor:
        """(N, K) of the challenge up to each answer."""
        return self.running(one_hot(self.answers.label, self.answers.K))


def fixed(arrivals: Arrivals, number: int) -> tuple[Tensor, Tensor]:
    """So many answers to each, by majority."""
    return arrivals.until(arrivals.place + 1 >= number, arrivals.votes)


def agreeing(arrivals: Arrivals, number: int) -> tuple[Tensor, Tensor]:
    """Until so many say the same."""
    votes = arrivals.votes
    return arrivals.until(votes.amax(1) >= number, votes)


def dynamic_overlap(arrivals: Arrivals, gold: Answers, threshold: float) -> tuple[Tensor, Tensor]:
    """Toloka's dynamic overlap, as its guide describes it.

    The quality of a respondent is q = (0.5 + right) / (1 + gold answers). The option with the greatest sum of q leads;
    its confidence is by Bayes' theorem, options equally likely, those who are wrong equally wrong.
    """
    a = arrivals.answers
    assert gold.gold is not None
    right = (gold.label == gold.gold[gold.item]).to(torch.float64)
    hits = torch.zeros(a.J, dtype=torch.float64).index_add(0, gold.annotator, right)
    q = ((0.5 + hits) / (1 + torch.bincount(gold.annotator, minlength=a.J)))[a.annotator][:, None]  # (N, 1)
    said = one_hot(a.label, a.K).bool()
    probability = arrivals.running(torch.where(said, q, (1 - q) / (a.K - 1)).log()).softmax(1)
    weight = arrivals.running(said * q)
    leader = weight.argmax(1, keepdim=True)
    return arrivals.until(probability.gather(1, leader).squeeze(1) >= threshold, weight)


def swap(arrivals: Arrivals, gold: Answers, threshold: float) -> tuple[Tensor, Tensor]:
    """SWAP (Marshall et al. 2016, MNRAS 455, section 3): binary, a confusion matrix for each, learned on gold.

    Both classes retire at the same confidence; the prior is gold's share of the classes.
    """
    a = arrivals.answers
    assert gold.gold is not None
    truth = gold.gold[gold.item]
    cells = torch.zeros(a.J * 4, dtype=torch.float64)
    cells.index_add_(0, gold.annotator * 4 + truth * 2 + gold.label, torch.ones_like(truth, dtype=torch.float64))
    counts = cells.reshape(a.J, 2, 2) + 2 * UNINFORMED
    confusion = counts / counts.sum(2, keepdim=True)
    known = gold.gold[gold.gold >= 0]
    prior = (torch.bincount(known, minlength=2) + 1.0) / (len(known) + 2.0)
    probability = (arrivals.running(confusion[a.annotator, :, a.label].log()) + prior.log()).softmax(1)
    return arrivals.until(probability.amax(1) >= threshold, probability)
