"""Is this respondent competent, given all that was seen of it, here and before?

The estimand is θ_j, the probability that j answers a challenge like those of this session right. Its posterior is

    p(θ | session) ∝ Beta(θ; a_j, b_j) Π_{n of j in the session} (θ h_n + (1 - θ) (1 - h_n) / (K - 1))

h_n is the published probability that answer n is right by the other respondents' answers alone, and 1 or 0 for gold:
the factor is the likelihood of θ with the true class summed out. An answer on which nobody else has a word (h = 1/K)
says nothing, one that is surely right or wrong counts as a trial. Counting h_n as so much of a trial instead would be
too sure (Louis 1982, the missing-information principle).

Before the session: Beta(a_j, b_j) has mean and interval of `Model.reliability`. What a respondent was is taken for what
it is now with the weight of `MEMORY` answers at most: their counts are scaled down to that many (a power prior: Ibrahim
& Chen 2000). A good account that is sold to a bot is then found out within a session.

Respondents who share wrong answers vouch for one another; nothing here sees that.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.form import Form
from consensus.model import Model
from consensus.prior import Prior
from consensus.reliability import NORMAL_95, matched_beta
from consensus.statistics import coin, count

MEMORY = 20.0
MARGIN = 0.1
RATES = 400
TAIL = 0.025
CHUNK = 2**20
LEAST = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Competence:
    """By annotator, each (J,): the posterior mean of θ, its central 95 % interval, and p(θ > bar)."""

    score: Tensor
    low: Tensor
    high: Tensor
    competent: Tensor


def competence(
    model: Model,
    answers: Answers,
    session: Tensor,
    posterior: Tensor,
    statistics: Tensor,
    prior: Prior,
    *,
    form: Form,
    bar: float | None = None,
) -> Competence:
    """Judge annotators by a session, and by what is known of them from before.

    Those without answers in the session get what is known of them from before.

    Args:
        answers: all answers to the items of the session, whoever gave them; gold counts as known.
        session: (N,) bool, which of them belong to it.
        posterior: (I, K) the items' stored raw posteriors, with which `statistics` count `answers`.
        statistics: (J, width) of the annotators, from all items.
        bar: what a competent respondent's accuracy exceeds; by default `guessing(prior)` and a margin.
    """
    right = vouched(model, answers, session, statistics, prior, form=form)
    return weigh(model, _only(answers, session), right, posterior, statistics, prior, form=form, bar=bar)


def weigh(
    model: Model,
    here: Answers,
    right: Tensor,
    posterior: Tensor,
    statistics: Tensor,
    prior: Prior,
    *,
    form: Form,
    bar: float | None = None,
) -> Competence:
    """Judge annotators by answers of which it is known how likely they are right.

    Args:
        here: the answers of the session alone; an annotator may stand there several times, once for each session.
        right: (N,) the probability that each is right, found without it.
        posterior: (I, K) with which `statistics` count them.
        statistics: (J, width) of the annotators, from all items.
    """
    known = (statistics - count(form, here, posterior)).clamp(min=0)
    given = coin(form, here.K, known)[:, 1:].sum(1, keepdim=True)
    found = model.reliability(known * (MEMORY / given.clamp(min=MEMORY)), prior, form=form)
    mean = found.accuracy.clamp(LEAST, 1 - LEAST)
    deviation = ((found.high - found.low) / NORMAL_95).clamp(min=LEAST)
    a, b = matched_beta(mean, deviation.square().minimum(mean * (1 - mean) / 2))
    rate = (torch.arange(RATES, dtype=mean.dtype, device=mean.device) + 0.5) / RATES
    log = (a[:, None] - 1) * rate.log() + (b[:, None] - 1) * (1 - rate).log()  # (J, T)
    right = right[:, None]
    wrong = (1 - right) / max(here.K - 1, 1)
    log = log.index_add(0, here.annotator, (rate * right + (1 - rate) * wrong).clamp(min=LEAST**4).log())
    mass = log.softmax(1)
    below = mass.cumsum(1)
    bar = min(guessing(prior) + MARGIN, (1 + guessing(prior)) / 2) if bar is None else bar
    return Competence(
        score=mass @ rate,
        low=_quantile(below, TAIL),
        high=_quantile(below, 1 - TAIL),
        competent=(mass * ((rate - bar) * RATES + 0.5).clamp(0, 1)).sum(1),
    )


def guessing(prior: Prior) -> float:
    """How often somebody is right who always names the most frequent class."""
    return float(prior["classes"].max())


def vouched(model: Model, answers: Answers, session: Tensor, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
    """(M,) the probability that each answer of the session is right, by all other annotators' answers to its item."""
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
        others = Answers(case, answers.annotator[other], answers.label[other], len(some), answers.J, answers.K)
        published = model.publish(others, statistics, prior, form=form)
        return published.gather(1, answers.label[some, None]).squeeze(1)

    height = max(1, CHUNK // max(int(sizes.max()) if answers.I else 1, 1))
    right = torch.cat([judge(some) for some in session.nonzero().squeeze(1).split(height)])
    if answers.gold is None:
        return right
    gold, label = answers.gold[answers.item[session]], answers.label[session]
    return torch.where(gold >= 0, (gold == label).to(right.dtype), right)


def _only(answers: Answers, some: Tensor) -> Answers:
    return replace(answers, item=answers.item[some], annotator=answers.annotator[some], label=answers.label[some])


def _quantile(below: Tensor, probability: float) -> Tensor:
    """(J,) from the distribution function (J, T) at the upper ends of equal cells, linear within a cell."""
    wanted = torch.full_like(below[:, :1], probability)
    cell = torch.searchsorted(below, wanted).clamp(max=RATES - 1)
    top = below.gather(1, cell)
    under = torch.where(cell > 0, below.gather(1, (cell - 1).clamp(min=0)), 0)
    inside = ((wanted - under) / (top - under).clamp(min=1e-300)).clamp(0, 1)
    return ((cell + inside) / RATES).squeeze(1)
