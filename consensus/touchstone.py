"""Touchstone: the default model. A hierarchy of priors learned from the answers, and a test of their independence.

Respondents know or guess (`knowing`): a confusion row shrinks from a matrix of its own to one coin to the population.
The posterior of item i is

    log q_ik = β_i (log π_k + Σ_{n of i} log E[θ_{j_n, k, label_n}]) + const

with the posterior means of θ and, for π and the guesses G, half of what the posteriors say and half of what the votes
say: the anchor that stops EM from moving all items into one class (MAP estimation with a prior as strong as the data).

Shape. First β_i = 1: answers are independent given the class. Then the residual agreement of answers to the same item
(`correlation`) is measured. It is zero if the shape is right. Above `CORRELATED`, respondents err together and the
model is fitted anew with β_i = n_i^-1/2, n_i the effective number of answers: n answers count as sqrt(n). Threshold and
exponent are not derived: they were chosen on public data sets with truth. With two or three answers to an item the
measure is weak, and the test misses correlation more often than it invents it. `agreement` and `discount` in the prior
say what was found and what was done.

Confidence (`confidence`) is computed from the fit and never feeds back.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus import account, confidence, correlation, knowing
from consensus.account import Account
from consensus.answers import Answers
from consensus.correlation import Tables
from consensus.fit import Fit
from consensus.fixed_point import change, settle
from consensus.form import Form, form_for
from consensus.inference import Inference
from consensus.layout import Layout, arrange
from consensus.prior import Prior
from consensus.reliability import Reliability, interval, matched_beta
from consensus.segment import block_sum
from consensus.statistics import GRID, count, quantise, tally
from consensus.votes import clamp, shares

CORRELATED = 0.035
DISCOUNT = 0.5
ROUNDS = 40


@dataclass(frozen=True, slots=True)
class Touchstone:
    """FULL: options mean the same in every challenge. COIN: they do not, or there are too many of them."""

    name: str = "touchstone"
    version: str = "1"

    def prior(self, K: int, form: Form) -> Prior:
        """Besides what `knowing.assumed` names: `agreement`, `discount` and, for publishing, `level`."""
        zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
        return Prior({**knowing.assumed(K, form), "agreement": zero, "discount": zero, "level": one})

    def fit(self, answers: Answers, *, form: Form | None = None) -> Fit:
        form = form or form_for(answers.K)
        layout = arrange(answers, form)
        open_ = _open(layout)
        start = self.prior(answers.K, form).to(answers.device)
        posterior, prior, residuals, converged = _settle(layout, start)
        statistics = tally(layout, posterior)
        tables = _tables(statistics, prior)
        agreement = correlation.residual_agreement(layout, tables, posterior)
        level = confidence.plain_level(layout, prior["classes"], tables.log, shared=form == Form.FULL)
        prior = Prior({**prior, "agreement": agreement, "level": level})
        if float(agreement) > CORRELATED:
            plain = _tempered(layout, tables, prior).softmax(1)
            discount = torch.full_like(agreement, DISCOUNT)
            begin = Prior({**start, "agreement": agreement, "discount": discount})
            posterior, prior, more, converged = _settle(layout, begin)
            residuals += more
            tempered = _tempered(layout, _tables(tally(layout, posterior), prior), prior)
            target = confidence.mean_confidence((plain + tempered.softmax(1))[open_] / 2)
            prior = Prior({**prior, "level": confidence.matched_level(tempered[open_], target)})
        posterior = quantise(posterior)
        statistics = count(form, answers, posterior)
        shape, reason = _shape(prior)
        return Fit(
            posterior=posterior,
            published=_published(layout, _tables(statistics, prior), prior),
            statistics=statistics,
            prior=prior,
            objective=(),
            iterations=len(residuals),
            converged=converged,
            model=self.name,
            version=self.version,
            residuals=residuals,
            shape=shape,
            reason=reason,
        )

    def update(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        return self.infer(answers, statistics, prior, form=form).posterior

    def publish(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        return self.infer(answers, statistics, prior, form=form).published

    def infer(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Inference:
        layout, tables = arrange(answers, form), _tables(statistics, prior)
        return Inference(quantise(_posterior(layout, tables, prior)), _published(layout, tables, prior))

    def account(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Account:
        """Steps: `correlation`, what answers to one challenge have in common; `tempering`, or with discounted evidence
        `shapes`, which brings it to the mixture of both shapes; `doubt`, that all may be wrong together.
        """
        layout, tables = arrange(answers, form), _tables(statistics, prior)
        joint, worth = _joint(layout, tables, prior), correlation.worth(layout, tables)
        tempered = confidence.temper(joint, worth, prior["level"])
        return account.logs(
            lambda some: _joint(arrange(some, form), tables, prior),
            answers,
            ("correlation", confidence.temper(joint, worth, torch.ones_like(prior["level"]))),
            ("shapes" if float(prior["discount"]) else "tempering", tempered),
            ("doubt", confidence.doubt(tempered).log()),
        )

    def reliability(self, statistics: Tensor, prior: Prior, *, form: Form) -> Reliability:
        t = knowing.knowing(statistics, prior)
        doubt = t * (1 - t) / (knowing.answered(statistics, prior) + prior["knowing"].sum() + 1)
        lucky, classes = knowing.lucky(prior), prior["classes"]
        K = classes.numel()
        if form == Form.COIN:
            accuracy = t + (1 - t) / K
            variance = doubt * (1 - 1 / K) ** 2
            confusion = ((1 - t) / K)[:, None, None].repeat(1, K, K)
            confusion.diagonal(dim1=1, dim2=2).copy_(accuracy[:, None].expand(-1, K))
        else:
            rows = knowing.rows(statistics, prior)
            size = rows.sum(2)  # (J, K)
            confusion = rows / size[:, :, None]
            right = confusion.diagonal(dim1=1, dim2=2)
            accuracy = (right * classes).sum(1)
            slope = (classes * (1 - lucky) * prior["strength"] / size).sum(1)  # of accuracy by t
            variance = (classes.square() * right * (1 - right) / (size + 1)).sum(1) + slope.square() * doubt
        bounded = accuracy.clamp(GRID, 1 - GRID)  # with one class there is no doubt, and no Beta distribution either
        low, high = interval(*matched_beta(bounded, variance.clamp(GRID**2, None).minimum(bounded * (1 - bounded) / 2)))
        return Reliability(accuracy, low, high, confusion)


def _shape(prior: Prior) -> tuple[str, str]:
    """What was taken of the answers to one item, given its class, and why."""
    found = f"the residual agreement of answers to one challenge is {float(prior['agreement']):.4f}"
    if float(prior["discount"]):
        return "correlated", f"{found}, above {CORRELATED}"
    return "independent", f"{found}, not above {CORRELATED}"


def _settle(layout: Layout, prior: Prior) -> tuple[Tensor, Prior, tuple[float, ...], bool]:
    """Fit cold from the votes: posterior, the prior it came from, residuals of all steps, and whether it converged."""
    begin = shares(layout)
    votes = block_sum(tally(layout, begin))

    posterior = begin
    residuals: list[float] = []
    for _ in range(ROUNDS):
        statistics = tally(layout, posterior)
        prior = knowing.learn(layout, statistics, posterior, votes, prior)
        before, posterior = posterior, _posterior(layout, _tables(statistics, prior), prior)
        residuals.append(change(posterior, before))

    def step(posterior: Tensor) -> Tensor:
        return _posterior(layout, _tables(tally(layout, posterior), prior), prior)

    settled = settle(step, posterior)
    return settled.posterior, prior, (*residuals, *settled.residuals), settled.converged


def _tables(statistics: Tensor, prior: Prior) -> Tables:
    if "guess" not in prior:
        wrong = (1 - knowing.knowing(statistics, prior)) / knowing.classes_of(prior)
        right = 1 - wrong * (knowing.classes_of(prior) - 1)
        return Tables(torch.stack([right, wrong], 1).log(), right[:, None])
    rows = knowing.rows(statistics, prior)
    K = rows.shape[1]
    log = (rows.log() - rows.sum(2, keepdim=True).log()).transpose(1, 2).reshape(-1, K)
    right = (rows / rows.sum(2, keepdim=True)).diagonal(dim1=1, dim2=2)
    return Tables(log, right.repeat_interleave(K, 0))


def _joint(layout: Layout, tables: Tables, prior: Prior) -> Tensor:
    return prior["classes"].log() + correlation.evidence(layout, tables)


def _posterior(layout: Layout, tables: Tables, prior: Prior) -> Tensor:
    joint = _joint(layout, tables, prior)
    if float(prior["discount"]):
        joint = joint * correlation.worth(layout, tables) ** -prior["discount"]
    return clamp(joint, layout.gold).softmax(1)


def _tempered(layout: Layout, tables: Tables, prior: Prior) -> Tensor:
    return confidence.temper(_joint(layout, tables, prior), correlation.worth(layout, tables), prior["level"])


def _published(layout: Layout, tables: Tables, prior: Prior) -> Tensor:
    return confidence.rounded(confidence.doubt(_tempered(layout, tables, prior)))


def _open(layout: Layout) -> Tensor:
    """(I,) the items that have answers and are not gold."""
    answered = layout.votes.sum(1) > 0
    return answered if layout.gold is None else answered & (layout.gold < 0)


MODEL = Touchstone()
