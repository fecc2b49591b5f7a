"""Why a verdict is what it is, and what it would take to change it.

The account of a verdict is that of its class w against the runner-up r, in log-odds, or for votes in shares:

    log p_w / p_r = prior + Σ_n answer_n + Σ_s step_s

each term the difference between the scores of w and r that the model's own functions give (`Model.account`): steps are
what each changes, so that the sum is exact whatever they do. Two more terms are named where they are not zero:
`rounding`, as probabilities are published on a grid, and one below 2^-33 counts as 2^-33; and `since`, by how much
a verdict that is given differs from what is published of the same answers now: reliabilities have moved, or a fit knew
more than its statistics hold.

The attack budget of a verdict: the fewest answers without which another class is the answer, and the fewest respondents
without all of whose answers it is, everybody's reliability being as it is. A unit u, an answer or a respondent, puts
d_ur = Σ_n score_n[w] - score_n[r] between w and a rival r.

Let the class with the largest sum of scores lead, whichever units are left: so it is wherever what follows the sum
multiplies the scores of all classes of an item by one positive number (discount, tempering, the total of a vote) or is
the same rising function of each. Then r overtakes w without a set R of units if and only if

    prior_w - prior_r + Σ_u d_ur - Σ_{u in R} d_ur <= 0            (< 0 if w is the first of the classes that tie)

Among sets of one size that sum is least for those with the largest d_ur, so that some set of this size will do if and
only if the largest will; it falls with size as long as d_ur > 0. The smallest such set is thus found by bisection for
each rival, and the smallest of these is the smallest of all. It is tried on `Model.publish` itself. In models whose
accounts are not `decisive` the same search ends at a set that does flip the verdict; a smaller one may exist.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from consensus.account import Account, Scale
from consensus.answers import Answers
from consensus.fit import TIE, leading
from consensus.form import Form
from consensus.model import Model
from consensus.prior import Prior
from consensus.reliability import Reliability
from consensus.scores import FLOOR


@dataclass(frozen=True, slots=True)
class Term:
    name: str
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """The published odds of a verdict as a sum, and its attack budget."""

    winner: int
    rival: int
    scale: Scale
    total: float  # LOG: log p_w / p_r as published; SHARE: p_w - p_r
    prior: float
    answers: Tensor  # (N,) for the winner if positive, in the order of the answers
    steps: tuple[Term, ...]  # prior, answers and steps add up to the total
    reliability: Reliability  # of the annotators
    fewest_answers: Tensor | None  # which answers, ascending; None if the verdict stands without any
    fewest_annotators: Tensor | None  # which annotators, likewise
    exact: bool  # no smaller sets would do


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A challenge before its model."""

    model: Model
    answers: Answers
    statistics: Tensor
    prior: Prior
    form: Form

    def publish(self, answers: Answers) -> Tensor:
        return self.model.publish(answers, self.statistics, self.prior, form=self.form)


def explain(
    model: Model, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form, published: Tensor | None = None
) -> Explanation | None:
    """Explain the verdict on one challenge; None if it has one class only.

    Args:
        answers: all that count, to the one item 0.
        statistics: (J, width) of its annotators.
        published: (K,) the verdict's probabilities, if they are not those of today.

    Raises:
        ValueError: there are other items.
    """
    if answers.I != 1:
        raise ValueError(f"I: one item can be explained at a time, not {answers.I}")
    if answers.K == 1:
        return None
    answers = replace(answers, gold=None)
    case = Case(model, answers, statistics, prior, form)
    account = model.account(answers, statistics, prior, form=form)
    today = case.publish(answers)[0]
    shown = today if published is None else published
    winner = _answer(shown[None]).item()
    rival = shown.masked_fill(torch.arange(answers.K, device=shown.device) == winner, -1).argmax().item()
    w, r = int(winner), int(rival)
    said = account.answers[:, w] - account.answers[:, r]
    total = _odds(shown, account.scale, w, r)
    _, each = answers.annotator.unique(return_inverse=True)
    fewest = _fewest(case, account, w, torch.arange(answers.N, device=answers.device))
    owners = _fewest(case, account, w, each)
    return Explanation(
        winner=w,
        rival=r,
        scale=account.scale,
        total=total,
        prior=float(account.prior[0, w] - account.prior[0, r]),
        answers=said,
        steps=_steps(account, today, total, w, r),
        reliability=model.reliability(statistics, prior, form=form),
        fewest_answers=fewest,
        fewest_annotators=None if owners is None else answers.annotator[owners].unique(),
        exact=account.decisive,
    )


def _answer(published: Tensor) -> Tensor:
    """(I,) the verdicts' classes, as in :class:`consensus.fit.Fit`."""
    return leading(published).to(torch.int8).argmax(1)


def _odds(published: Tensor, scale: Scale, w: int, r: int) -> float:
    if scale == Scale.SHARE:
        return float(published[w] - published[r])
    log = published.clamp(min=FLOOR).log()
    return float(log[w] - log[r])


def _steps(account: Account, today: Tensor, total: float, w: int, r: int) -> tuple[Term, ...]:
    reached = float((account.prior[0] + account.answers.sum(0))[[w, r]].diff().neg())
    terms = []
    for name, scores in account.steps:
        after = float(scores[0, w] - scores[0, r])
        terms.append(Term(name, after - reached))
        reached = after
    now = _odds(today, account.scale, w, r)
    terms += [Term("rounding", now - reached), Term("since", total - now)]
    return tuple(term for term in terms if term.value)


def _fewest(case: Case, account: Account, winner: int, unit: Tensor) -> Tensor | None:
    """The answers of the fewest units without which `winner` is not the answer; `unit` (N,) are codes from 0."""
    answers, K = case.answers, case.answers.K
    rivals = torch.tensor([k for k in range(K) if k != winner], device=unit.device)  # (K - 1,)
    apart = account.answers[:, winner, None] - account.answers[:, rivals]  # (N, K - 1)
    units = int(unit.max()) + 1 if unit.numel() else 0
    by_unit = apart.new_zeros(units, K - 1).index_add(0, unit, apart)
    rank = by_unit.argsort(dim=0, descending=True, stable=True).argsort(dim=0)[unit]  # (N, K - 1)

    def flips(size: Tensor) -> Tensor:
        """(K - 1,) does each rival overtake without the first so many units?"""
        left, item = (rank >= size).nonzero().unbind(1)
        some = Answers(item, answers.annotator[left], answers.label[left], K - 1, answers.J, K)
        return _overtakes(case.publish(some), winner, rivals)

    high = (by_unit > 0).sum(0)
    possible = flips(high)
    if not bool(possible.any()):
        return None
    low = torch.zeros_like(high)
    while bool((low < high).any()):
        middle = (low + high) // 2
        flipped = flips(middle)
        low, high = torch.where(flipped, low, middle + 1).minimum(high), torch.where(flipped, middle, high)
    best = int(high.masked_fill(~possible, units + 1).argmin())
    return (rank[:, best] < high[best]).nonzero().squeeze(1)


def _overtakes(published: Tensor, winner: int, rivals: Tensor) -> Tensor:
    """(K - 1,) in row m, does rivals[m] come before the winner, by probability and then by code?"""
    ahead = published.gather(1, rivals[:, None]).squeeze(1) - published[:, winner]
    return torch.where(rivals < winner, ahead >= -TIE, ahead > TIE)
