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
from math import asin, log, pi

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.exclusion import exclude
from consensus.form import Form
from consensus.inference import Inference
from consensus.model import Model
from consensus.prior import Prior
from consensus.reliability import NORMAL_95, Skill, matched_beta
from consensus.statistics import count

MEMORY = 20.0
MARGIN = 0.1
CELLS = 32
ZOOMS = 2
REACH = 5.0
TAIL = 0.025
RUN = 12
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
    found = model.skill(remembered(here, posterior, statistics, form=form), prior, form=form)
    belief = believe(found, here, right)
    bar = min(guessing(prior) + MARGIN, (1 + guessing(prior)) / 2) if bar is None else bar
    return Competence(*belief.summary(), belief.above(bar))


def remembered(here: Answers, posterior: Tensor, statistics: Tensor, *, form: Form) -> Tensor:
    """(J, width) what is known of annotators without the answers of the session, as far as it is still believed."""
    known = (statistics - count(form, here, posterior)).clamp_(min=0)
    given = (known if form == Form.FULL else known[:, 1:]).sum(1, keepdim=True)
    return known.mul_(MEMORY / given.clamp_(min=MEMORY))


def believe(found: Skill, here: Answers, right: Tensor) -> "Belief":
    """What the answers of the session make of the skill that was known before; as for :func:`weigh`."""
    mean = found.accuracy.clamp(LEAST, 1 - LEAST)
    deviation = ((found.high - found.low) / NORMAL_95).clamp_(min=LEAST)
    a, b = matched_beta(mean, deviation.square_().minimum(mean * (1 - mean) / 2))
    return _posterior(a, b, here, right)


def guessing(prior: Prior) -> float:
    """How often somebody is right who always names the most frequent class."""
    return float(prior["classes"].max())


def vouched(
    model: Model,
    answers: Answers,
    session: Tensor,
    statistics: Tensor,
    prior: Prior,
    *,
    form: Form,
    once: bool = False,
    found: Inference | None = None,
) -> Tensor:
    """(M,) the probability that each answer of the session is right, by all other annotators' answers to its item.

    Args:
        session: (N,) bool, which of the answers belong to it; or their places (M,), in any order.
        once: nobody answered an item twice. An answer can then be taken out of its item, which is much less work.
        found: what the model has inferred from these very answers, under the statistics that are to hold.
    """
    some = session.nonzero().squeeze(1) if session.dtype == torch.bool else session
    label = answers.label[some]
    if once:
        published = model.without(answers, some, statistics, prior, form=form, found=found)
    else:
        published = exclude(lambda others: model.publish(others, statistics, prior, form=form), answers, some)
    right = published.gather(1, label[:, None]).squeeze(1)
    if answers.gold is None:
        return right
    gold = answers.gold[answers.item[some]]
    return torch.where(gold >= 0, (gold == label).to(right.dtype), right)


def _only(answers: Answers, some: Tensor) -> Answers:
    return replace(answers, item=answers.item[some], annotator=answers.annotator[some], label=answers.label[some])


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """Of θ = sin^2 φ: how much of it is in each of T equal cells of φ."""

    start: Tensor  # (J,) where the first cell begins
    cell: Tensor  # (J,) the width of each
    angle: Tensor  # (J, T) the middles of the cells
    rate: Tensor  # (J, T) θ there
    mass: Tensor  # (J, T), which sum to 1

    def summary(self) -> tuple[Tensor, Tensor, Tensor]:
        """The mean and the central 95 %, each (J,)."""
        score = (self.mass * self.rate).sum(1)  # which can lie outside where nearly all is at 0 or 1
        low, high = self.quantiles(TAIL, 1 - TAIL).unbind(1)
        return score, low.minimum(score), high.maximum(score)

    def span(self) -> tuple[Tensor, Tensor]:
        """Two angles (J,), (J,) between which is all that is worth a finer look."""
        mean = (self.mass * self.angle).sum(1, keepdim=True)
        reach = REACH * (self.mass * (self.angle - mean).square_()).sum(1).sqrt_() + self.cell
        return (mean.squeeze(1) - reach).clamp_(min=0), (mean.squeeze(1) + reach).clamp_(max=pi / 2)

    def quantiles(self, *probabilities: float) -> Tensor:
        """(J, P) rates; linear within a cell."""
        below = self.mass.cumsum(1)
        wanted = torch.stack([torch.full_like(self.cell, probability) for probability in probabilities], 1)
        place = torch.searchsorted(below, wanted).clamp_(max=CELLS - 1)
        rest = (below.gather(1, place) - wanted) / self.mass.gather(1, place).clamp_(min=1e-300)
        angle = torch.addcmul(self.start[:, None], self.cell[:, None], place + 1 - rest.clamp_(0, 1))
        return angle.sin_().square_()

    def above(self, rate: float) -> Tensor:
        """(J,) p(θ > rate), likewise."""
        top = self.angle + self.cell[:, None] / 2
        return (self.mass * ((top - asin(rate**0.5)) / self.cell[:, None]).clamp(0, 1)).sum(1)


def _posterior(a: Tensor, b: Tensor, here: Answers, right: Tensor) -> Belief:
    """The product of Beta(a, b) and the answers' factors, in cells of the whole range, then of where it matters.

    On the scale of φ a standard deviation is about as wide wherever θ is. Where a, b >= 1/2 the mean is right to 1e-3
    and quantiles to 3e-3.
    """
    annotator, wrong, slope = _runs(here, right)
    pairs = 2 * torch.stack([a, b])  # (2, J)
    powers = pairs - 1
    # log of the mean of φ^(2a - 1) over a cell that begins at 0, by that in its middle: there is a pole if a < 1/2
    edges = powers * log(2) - pairs.log()
    above, below = powers[:, :, None]

    def believe(angle: Tensor, start: Tensor, end: Tensor, cell: Tensor) -> Belief:
        sine = angle.sin()
        joint = above * sine.log()
        joint.addcmul_(below, angle.cos().log_())
        joint[:, 0].add_(edges[0].where(start == 0, 0))
        joint[:, -1].add_(edges[1].where(end == pi / 2, 0))
        rate = sine.square_()
        each = rate.t() if len(rate) == 1 else rate.index_select(0, annotator).t().contiguous()  # long rows are faster
        factor = torch.addcmul(wrong, each, slope).clamp_(min=LEAST**4)  # (RUN, T, R)
        joint.index_add_(0, annotator, factor.prod(0).log_().t().contiguous())
        return Belief(start, cell, angle, rate, joint.softmax(1))

    middle = torch.arange(0.5, CELLS, dtype=a.dtype, device=a.device)
    start, end = torch.zeros_like(a), torch.full_like(a, pi / 2)
    cell = (end - start) / CELLS
    belief = believe((middle * (pi / 2 / CELLS))[None], start, end, cell)
    for _ in range(ZOOMS - 1):
        start, end = belief.span()
        cell = (end - start) / CELLS
        belief = believe(torch.addcmul(start[:, None], cell[:, None], middle), start, end, cell)
    return belief


def _runs(here: Answers, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The answers of each annotator in runs of `RUN`, whose factors are multiplied before their logarithm is taken.

    Returns: (R,) the annotator of each run, ascending; (RUN, 1, R) its factors at rate 0, and by how much they grow
    until rate 1. A run that is not full has factors of 1.
    """
    annotator = here.annotator
    if bool((annotator.diff() < 0).any()):
        order = annotator.argsort(stable=True)
        annotator, right = annotator[order], right[order]
    sizes = torch.bincount(annotator, minlength=here.J)
    runs = (sizes + (RUN - 1)).div_(RUN, rounding_mode="floor")
    ends = runs.cumsum(0)
    within = torch.arange(here.N, device=annotator.device) - (sizes.cumsum(0) - sizes)[annotator]
    owner = torch.arange(here.J, device=annotator.device).repeat_interleave(runs)
    slot = (within % RUN) * len(owner) + (ends - runs)[annotator] + within // RUN
    each = right.new_ones(2, RUN * len(owner))
    each[0, slot] = (1 - right) / max(here.K - 1, 1)
    each[1, slot] = right
    wrong, right = each.view(2, RUN, 1, len(owner))
    return owner, wrong, right - wrong
