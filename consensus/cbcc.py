"""Community-based classifier combination (CBCC): annotators come in communities that err alike.

Venanzi, Guiver, Kazai, Kohli & Shokouhi (2014), "Community-based Bayesian aggregation models for crowdsourcing",
section 3: annotator j belongs to community c with probability h_c, and j's confusion matrix scatters around that of the
community. They scatter log-probabilities as Gaussians; here rows scatter as Dirichlet distributions, for which the
expectations have closed forms:

    θ_jk | c ~ Dirichlet(σ Φ_ck),     Φ_ck ~ Dirichlet(1 + β_k)

Mean field between the classes z and the pairs (θ_j, c_j), with Φ, h and π at the points that maximise the bound:

    r_jc ∝ h_c Π_k B(σ Φ_ck + N_j[k, ·]) / B(σ Φ_ck)               q(c_j = c); B is the multivariate beta function
    log q_ik = log π_k + Σ_{n of i} E log θ_{j_n, k, label_n} + const
    E log θ_jkl = Σ_c r_jc [ψ(σ Φ_ckl + N_j[k, l]) - ψ(Σ_l ...)]
    h_c = (Σ_j r_jc + 1) / Σ_c (...)
    Φ_ckl ∝ β_kl + σ Φ_ckl Σ_j r_jc [ψ(σ Φ_ckl + N_j[k, l]) - ψ(σ Φ_ckl)]     Minka (2000)

Minka's step may overshoot on counts below one: of 1.5, 1 and 0.25 times the step the longest that does not lower the
bound is taken, or none. Communities that grow alike converge slowly, and some fits end at 500 iterations.

The bound is Σ_i log Σ_k π_k exp(Σ_n E log θ) + Σ_j (log Σ_c h_c Π_k B(...) / B(...) - N_j · E log θ_j) plus
log p(Φ, h, π).

There are four communities, σ = 10, β_k is worth ten answers spread as the crowd answers items that the vote puts in
class k, π has the pseudo-items of :mod:`consensus.anchor`. The communities start as people who know one, three, five
and seven eighths of the answers and guess the rest: nothing is drawn at random. In form COIN a row is (right, wrong).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus import account
from consensus.account import Account
from consensus.anchor import anchor, census
from consensus.answers import Answers
from consensus.ascent import ascend
from consensus.dirichlet import expected_log, log_normaliser
from consensus.fit import Fit
from consensus.form import Form, form_for
from consensus.layout import Items, arrange, listed
from consensus.one_coin import ACCURACY, POOLING
from consensus.prior import Prior
from consensus.reliability import Reliability, interval, matched_beta
from consensus.segment import block_sum
from consensus.statistics import GRID, count, quantise, tally
from consensus.tables import evidence, spread, tables
from consensus.uncalibrated import Uncalibrated
from consensus.votes import clamp, shares

COMMUNITIES = 4
SCATTER = 10.0
STRENGTH = 10.0
LENGTHS = (1.5, 1.0, 0.25)
SLACK = 1e-13
"""What rounding may take from a bound, relative to it: rounding must not decide whether a step is taken."""


@dataclass(frozen=True, slots=True)
class Communities(Uncalibrated):
    """Prior: `communities` (C, R, L), the rows Φ; `members` (C,), the shares h; `classes` (K,), the shares π."""

    name: str = "cbcc"
    version: str = "2"

    def prior(self, K: int, form: Form) -> Prior:
        return Prior(
            {
                "communities": _level(form, K, ACCURACY).repeat(COMMUNITIES, 1, 1),
                "members": torch.full((COMMUNITIES,), 1 / COMMUNITIES, dtype=torch.float64),
                "classes": torch.full((K,), 1 / K, dtype=torch.float64),
            }
        )

    def fit(self, answers: Answers, *, form: Form | None = None) -> Fit:
        form, K = form or form_for(answers.K), answers.K
        layout = arrange(answers, form)
        answered = (layout.votes.sum(1, keepdim=True) > 0).to(torch.float64)  # (I, 1)
        votes = shares(layout)
        pseudo_items = anchor(census(layout.votes, quantise(votes), layout.gold), form)
        pooled = POOLING * _level(form, K, ACCURACY).to(votes.device)
        pooled = pooled + block_sum(tables(form, K, tally(layout, votes)).flatten(1)).reshape(pooled.shape)
        beta = STRENGTH * pooled / pooled.sum(1, keepdim=True)

        def step(posterior: Tensor, prior: Prior) -> tuple[Tensor, Prior, Tensor]:
            counts = tables(form, K, tally(layout, posterior))
            weights = pseudo_items + block_sum(posterior * answered)
            prior = Prior({**_refine(counts, prior, beta), "classes": weights / weights.sum()})
            likelihood, log_rows = _believe(counts, prior)
            joint = _joint(layout, log_rows, prior)
            bound = block_sum(joint.logsumexp(1, keepdim=True) * answered).squeeze()
            bound = bound + block_sum((likelihood - (counts * log_rows).sum((1, 2)))[:, None]).squeeze()
            bound = bound + pseudo_items @ prior["classes"].log() + prior["members"].log().sum()
            return joint.softmax(1), prior, bound + (beta * prior["communities"].log()).sum()

        ascent = ascend(step, votes, self._start(form, K).to(votes.device))
        posterior, prior = quantise(ascent.posterior), ascent.state
        statistics = count(form, answers, posterior)
        return self.fitted(
            answers,
            form,
            posterior,
            statistics,
            prior,
            iterations=len(ascent.trace),
            converged=ascent.converged,
            objective=ascent.trace,
        )

    def update(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        _, log_rows = _believe(tables(form, answers.K, statistics), prior)
        return quantise(_joint(listed(answers, form), log_rows, prior).softmax(1))

    def account(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Account:
        _, log_rows = _believe(tables(form, answers.K, statistics), prior)
        return account.logs(lambda some: _joint(listed(some, form), log_rows, prior), answers)

    def reliability(self, statistics: Tensor, prior: Prior, *, form: Form) -> Reliability:
        K = prior["classes"].numel()
        counts = tables(form, K, statistics)
        members = _evidence(counts, prior).softmax(1)  # (J, C)
        rows = counts[:, None] + SCATTER * prior["communities"]  # (J, C, R, L)
        strength = rows.sum(3)
        rows = rows / strength[:, :, :, None]
        right, weight = _right(rows, prior)
        accuracy = (members * (right * weight).sum(2)).sum(1)
        right = right.clamp(max=1 - GRID)  # with one class there is no doubt, and no Beta distribution either
        means = (right * weight).sum(2)  # (J, C)
        mean = (members * means).sum(1)
        variance = (right * (1 - right) / (strength + 1) * weight.square()).sum(2) + (means - mean[:, None]).square()
        low, high = interval(*matched_beta(mean, (members * variance).sum(1)))
        mixed = (members[:, :, None, None] * rows).sum(1)
        if form == Form.COIN:
            wrong = mixed[:, 0, 1] / max(K - 1, 1)
            mixed = wrong[:, None, None].repeat(1, K, K)
            mixed.diagonal(dim1=1, dim2=2).copy_(accuracy[:, None].expand(-1, K))
        return Reliability(accuracy, low, high, mixed)

    def _start(self, form: Form, K: int) -> Prior:
        levels = [(2 * c + 1) / (2 * COMMUNITIES) for c in range(COMMUNITIES)]
        rows = [_level(form, K, level + (1 - level) / K) for level in levels]
        return Prior({**self.prior(K, form), "communities": torch.stack(rows)})


def _level(form: Form, K: int, accuracy: float) -> Tensor:
    """(R, L) rows of somebody right so often, who errs evenly."""
    rows = spread(form, K, accuracy, (1 - accuracy) / (max(K - 1, 1) if form == Form.FULL else 1))
    return rows.clamp(min=GRID) / rows.clamp(min=GRID).sum(1, keepdim=True)


def _right(rows: Tensor, prior: Prior) -> tuple[Tensor, Tensor]:
    """(J, C, R) the probability of a right answer in each row, (R,) the weight of the row."""
    if rows.shape[2] == 1 and rows.shape[3] == 2:
        return rows[:, :, :, 0], prior["classes"].sum().reshape(1)
    return rows.diagonal(dim1=2, dim2=3), prior["classes"]


def _ratio(counts: Tensor, rows: Tensor) -> Tensor:
    """(J, C, R) log B(σ Φ_ck + N_j[k, ·]) / B(σ Φ_ck)."""
    return log_normaliser(counts[:, None] + SCATTER * rows) - log_normaliser(SCATTER * rows)


def _evidence(counts: Tensor, prior: Prior) -> Tensor:
    """(J, C) log h_c Π_k B(σ Φ_ck + N_j[k, ·]) / B(σ Φ_ck)."""
    return prior["members"].log() + _ratio(counts, prior["communities"]).sum(2)


def _believe(counts: Tensor, prior: Prior) -> tuple[Tensor, Tensor]:
    """(J,) the log of the sum of `_evidence` over communities, (J, R, L) E log θ."""
    weights = _evidence(counts, prior)
    members = weights.softmax(1)[:, :, None, None]
    return weights.logsumexp(1), (members * expected_log(counts[:, None] + SCATTER * prior["communities"])).sum(1)


def _joint(layout: Items, log_rows: Tensor, prior: Prior) -> Tensor:
    return clamp(prior["classes"].log() + evidence(layout, log_rows), layout.gold)


def _refine(counts: Tensor, prior: Prior, beta: Tensor) -> dict[str, Tensor]:
    """h and Φ that raise the bound, given the respondents' expected counts (J, R, L)."""
    old = prior["communities"]
    ratio = _ratio(counts, old)
    members = (prior["members"].log() + ratio.sum(2)).softmax(1)  # (J, C)
    sizes = block_sum(members) + 1
    before = SCATTER * old
    change = torch.digamma(counts[:, None] + before) - torch.digamma(before)  # (J, C, R, L)
    target = beta + before * block_sum((members[:, :, None, None] * change).flatten(1)).reshape(old.shape)
    target = target / target.sum(2, keepdim=True)

    def bound(rows: Tensor, ratio: Tensor) -> Tensor:
        """(C, R) the part of it that a row has."""
        weighed = block_sum((members[:, :, None] * ratio).flatten(1)).reshape(rows.shape[:2])
        return weighed + (beta * rows.log()).sum(2)

    height = bound(old, ratio)
    least = height - SLACK * (1 + height.abs())
    best = old
    for length in reversed(LENGTHS):
        rows = old + length * (target - old)
        best = torch.where((bound(rows, _ratio(counts, rows)) >= least)[:, :, None], rows, best)
    return {"communities": best, "members": sizes / sizes.sum()}


MODEL = Communities()
