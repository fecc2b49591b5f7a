"""When to stop asking: the status of a challenge, from its posterior alone.

A challenge is looked at after every answer. Let q be its posterior, u the probability that it cannot be answered at all
(`skipping`), and L[d, k] the cost of deciding d when k is true. Deciding d costs

    r_d = (1 - u) Σ_k L[d, k] q_k + u U,        saying "unanswerable"    r_* = (1 - u) U

in expectation, with U the cost of treating what can be answered as what cannot, or the reverse. The verdict is the
cheapest answer (the Bayes decision). It is *settled* when its cost is at most the target.

The bound. Let τ be the time of the stop, however chosen by what was seen until then. Given that, the cost expected of
the verdict is r_τ, and by the tower property, over the settled,

    E[Σ cost] = E[Σ r_τ] ≤ target E[their number].

Looking again and again costs nothing: posteriors stay calibrated under optional stopping (Edwards, Lindman & Savage
1963; "calibration" in Hendriksen, de Heide & Grünwald 2021). With two classes and answers of known quality the rule is
Wald's sequential probability ratio test (1945), with more a stop at a posterior threshold (Baum & Veeravalli 1994). The
guarantee is an average over the model's prior, not one for every truth: an anytime-valid test (Ramdas, Grünwald, Vovk &
Shafer 2023) would give that, and needs more answers. It holds as far as the posterior is calibrated (`tempering`).
Respondents who agree on wrong answers are believed as far as they are taken for independent: colluding groups break it.

The threshold holds for each challenge, so that a verdict depends on no other, and the realised cost ends below the
target: it is the mean of r_τ, which is to be shown beside it. Spending what easy challenges leave over on hard ones
would settle these on less evidence than the owner asked for.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import torch
from torch import Tensor

from consensus import skipping
from consensus.fit import TIE
from consensus.skipping import Skipping


class Status(IntEnum):
    """Codes of `Stop.status`."""

    OPEN = 0  # another answer is wanted
    SETTLED = 1
    AMBIGUOUS = 2  # enough was asked, and more than one answer is left; or another answer would not pay
    UNANSWERABLE = 3


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """When a project's challenges are done.

    Raises:
        ValueError: a field is out of range; the message starts with its name.
    """

    target: float = 0.05  # the expected cost that settles a challenge; without `cost` the probability of an error
    minimum: int = 1  # answers before anything is said
    maximum: int | None = None  # answers and skips after which nothing more is asked
    cost: Tensor | None = None  # (K, K) [decided, true], not negative, zero where right; by default 1 where wrong
    unanswerable: float = 1.0  # the cost of confusing what can be answered with what cannot
    price: float = 0.0  # of an answer, in the unit of the costs

    def __post_init__(self) -> None:
        for name in ("target", "unanswerable"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be above 0, not {getattr(self, name)}")
        if self.price < 0:
            raise ValueError(f"price: must be at least 0, not {self.price}")
        if self.minimum < 1:
            raise ValueError(f"minimum: must be at least 1, not {self.minimum}")
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(f"maximum: must be at least the minimum of {self.minimum}, not {self.maximum}")
        if self.cost is not None:
            if self.cost.ndim != 2 or self.cost.shape[0] != self.cost.shape[1]:
                raise ValueError(f"cost: must be a square matrix, not of shape {tuple(self.cost.shape)}")
            if not bool((self.cost >= 0).all()) or bool(self.cost.diagonal().any()):
                raise ValueError("cost: must be at least 0, and 0 on the diagonal")


@dataclass(frozen=True, slots=True, eq=False)
class Stop:
    """What the rule says of I challenges."""

    status: Tensor  # (I,) int64, of `Status`
    answer: Tensor  # (I,) int64, the cheapest decision; the first of equals
    cost: Tensor  # (I,) its expected cost, or that of saying "unanswerable" where that is the status
    rule: Rule
    posterior: Tensor  # (I, K) what it was said from
    refusal: Tensor  # (I,) the expected cost of saying "unanswerable"
    loss: Tensor  # (K, K) [decided, true]

    @property
    def share(self) -> Tensor:
        """(I, K) what each class adds to the expected cost of `answer`."""
        answerable = (self.refusal / self.rule.unanswerable)[:, None]
        return self.loss.index_select(0, self.answer).mul_(self.posterior).mul_(answerable)

    @property
    def rivals(self) -> Tensor:
        """(I, K) bool, where ambiguous: the fewest classes but for which `answer` would be settled."""
        worst, order = self.share.sort(dim=1, descending=True, stable=True)
        left = worst.flip(1).cumsum(1).flip(1)  # the cost that remains before the class is named
        named = (left > self.rule.target) & (worst > 0)
        return torch.zeros_like(named).scatter(1, order, named) & (self.status == Status.AMBIGUOUS)[:, None]


def stop(
    posterior: Tensor,
    answers: Tensor,
    rule: Rule,
    skips: Tensor | None = None,
    rates: Skipping = skipping.USUAL,
) -> Stop:
    """The status of each challenge.

    Args:
        posterior: (I, K) calibrated probabilities, given all counted answers.
        answers: (I,) how many these are.
        skips: (I,) how many respondents were asked and could not tell. Without, every challenge can be answered.
        rates: the project's, from `skipping.learn`.

    No more is asked of a challenge whose expected cost, which is all that perfect information could save (Raiffa &
    Schlaifer 1961), is below the price of one answer.
    """
    loss, by_class = _loss(rule, posterior), posterior.t().contiguous()  # (K, I): long rows are worked on faster
    asked, risk, refusal = answers, loss @ by_class, torch.full_like(by_class[0], rule.unanswerable)
    if skips is not None:
        asked = answers + skips
        refusal.mul_(1 - skipping.unanswerable(answers, skips, rates).to(posterior.dtype))
        risk.mul_(refusal / rule.unanswerable).add_(rule.unanswerable - refusal)
    cost = risk.amin(0)
    answer = len(loss) - (_backwards(len(loss), posterior.device) * (risk <= cost + TIE)).amax(0)

    enough = asked >= rule.minimum
    refused = enough & (refusal <= rule.target) & (refusal < cost)
    settled = (answers >= rule.minimum) & (cost <= rule.target)
    ended = enough & (cost <= rule.price)
    if rule.maximum is not None:
        ended |= asked >= rule.maximum
    status = torch.where(settled, Status.SETTLED, Status.AMBIGUOUS * ended)
    status = torch.where(refused, Status.UNANSWERABLE, status)
    return Stop(status, answer, torch.where(refused, refusal, cost), rule, posterior, refusal, loss)


@cache
def _backwards(K: int, device: torch.device) -> Tensor:
    """(K, 1) K to 1."""
    return torch.arange(K, 0, -1, device=device)[:, None]


def _loss(rule: Rule, posterior: Tensor) -> Tensor:
    """(K, K) [decided, true]"""
    K = posterior.shape[1]
    if rule.cost is None:
        return 1 - torch.eye(K, dtype=posterior.dtype, device=posterior.device)
    if len(rule.cost) != K:
        raise ValueError(f"cost: must have a row for each of {K} classes, not {len(rule.cost)}")
    return rule.cost.to(posterior)
