"""GLAD: annotators differ in ability and items in difficulty.

Whitehill, Ruvolo, Wu, Bergsma & Movellan (2009), "Whose vote should count more: optimal integration of labels from
labelers of unknown expertise", section 2:

    p(label_n = z | α, β) = σ(α_{j_n} β_{i_n}), errors even,      σ the logistic function
    α_j ~ Normal(1, 1),  log β_i ~ Normal(1, 1),  z_i uniform
    log q_ik = Σ_{n of i} log p(label_n | z_i = k) + const                                            E-step
    maximise Σ_n [w_n log σ(α β) + (1 - w_n) log σ(-α β)] + log p(α, β),   w_n = q[item_n, label_n]    M-step

In place of gradient ascent, steps that cannot overshoot: with x_n = α β, the bound log σ(x) >= log σ(x_n) +
(x - x_n) / 2 - λ(x_n)(x² - x_n²), λ(x) = tanh(x / 2) / 4x (Jaakkola & Jordan 2000) is quadratic, and so

    α_j ← (1 + Σ_n (w_n - 1/2) β) / (1 + 2 Σ_n λ_n β²)
    log β_i: a Newton step on e^u Σ_n (w_n - 1/2) α - e^2u Σ_n λ_n α² - (u - 1)² / 2, shortened until it climbs

`Fit.objective` is log p(answers, α, β), z summed out; it never falls.

Live, difficulties are not kept and abilities only as expected counts. An update takes for α_j the maximum of the
above with every β of j's other items at the population's geometric mean (`easiness` in the prior), and fits the β of
the items in hand to their own answers. It gives what the fit gave up to what difficulties tell of abilities.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from consensus import account
from consensus.account import Account
from consensus.answers import Answers
from consensus.ascent import ascend
from consensus.edges import Edges, connect
from consensus.fit import Fit
from consensus.form import Form, form_for
from consensus.layout import arrange
from consensus.one_coin import Coin
from consensus.prior import Prior
from consensus.reliability import Reliability
from consensus.segment import block_sum
from consensus.statistics import coin, count, quantise
from consensus.uncalibrated import Uncalibrated
from consensus.votes import clamp, shares
from consensus.voting import even_prior

MEAN = 1.0
ROUNDS = 2
SHORTER = (1.0, 0.5, 0.25, 0.125)
LIVE_ROUNDS = 30

Parameters = tuple[Tensor, Tensor]  # α (J,), log β (I,)


@dataclass(frozen=True, slots=True)
class Glad(Uncalibrated):
    """Prior: `coin` (2,), as in :mod:`consensus.one_coin`, and `easiness` (), the log of a typical β."""

    name: str = "glad"
    version: str = "1"

    def prior(self, K: int, form: Form) -> Prior:  # noqa: ARG002 - the same for both
        return _with_easiness(even_prior(K), torch.tensor(MEAN))

    def fit(self, answers: Answers, *, form: Form | None = None) -> Fit:
        form = form or form_for(answers.K)
        edges = connect(answers)
        votes = shares(arrange(answers, Form.COIN))

        def step(posterior: Tensor, parameters: Parameters) -> tuple[Tensor, Parameters, Tensor]:
            ability, easiness = parameters
            right = posterior[edges.item, edges.label] - 0.5
            for _ in range(ROUNDS):
                ability = _ability(edges, right, ability, easiness)
                easiness = _easiness(edges, right, ability, easiness)
            joint = _joint(answers, edges, ability, easiness)
            bound = block_sum(joint.logsumexp(1, keepdim=True)).squeeze()
            for parameter in (ability, easiness):
                bound = bound - block_sum((parameter[:, None] - MEAN).square()).squeeze() / 2
            return joint.softmax(1), (ability, easiness), bound

        start = votes.new_full((answers.J,), MEAN), votes.new_full((answers.I,), MEAN)
        ascent = ascend(step, votes, start)
        posterior = quantise(ascent.posterior)
        statistics = count(form, answers, posterior)
        easiness = (block_sum(ascent.state[1][edges.item][:, None]).squeeze() + MEAN) / (answers.N + 1)
        prior = _with_easiness(even_prior(answers.K, coin(form, answers.K, statistics)), easiness)
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
        edges = connect(answers)
        ability = _typical_ability(coin(form, answers.K, statistics), prior)
        easiness = _live_easiness(answers, edges, ability, prior)
        return quantise(_joint(answers, edges, ability, easiness).softmax(1))

    def account(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Account:
        """Given the ease of the items, which all of their answers tell: beyond two classes it can decide who leads."""
        bare = replace(answers, gold=None)
        ability = _typical_ability(coin(form, answers.K, statistics), prior)
        easiness = _live_easiness(bare, connect(bare), ability, prior)

        def joint(some: Answers) -> Tensor:
            ease = easiness[answers.item] if some.N else easiness
            return _joint(some, connect(some), ability, ease)

        return account.logs(joint, bare, decisive=answers.K <= 2)

    def reliability(self, statistics: Tensor, prior: Prior, *, form: Form) -> Reliability:
        return Coin().reliability(coin(form, prior["classes"].numel(), statistics), prior)


def _with_easiness(prior: Prior, easiness: Tensor) -> Prior:
    return Prior({**prior, "easiness": easiness})


def _live_easiness(answers: Answers, edges: Edges, ability: Tensor, prior: Prior) -> Tensor:
    """(I,) log β of these items, given all their answers and the abilities (J,)."""
    easiness = prior["easiness"].expand(answers.I)
    for _ in range(LIVE_ROUNDS):
        posterior = _joint(answers, edges, ability, easiness).softmax(1)
        easiness = _easiness(edges, posterior[edges.item, edges.label] - 0.5, ability, easiness)
    return easiness


def _joint(answers: Answers, edges: Edges, ability: Tensor, easiness: Tensor) -> Tensor:
    """(I, K) log p(answers to the item, true class)."""
    I, K = answers.I, answers.K
    x = ability[edges.annotator] * easiness[edges.item].exp()
    wrong = logsigmoid(-x) - math.log(max(K - 1, 1))
    sums = edges.by_item.sum(wrong[:, None])
    votes = edges.by_vote.sum((logsigmoid(x) - wrong)[:, None]).reshape(I, K)
    return clamp(votes + sums - math.log(K), answers.gold)


def _curvature(x: Tensor) -> Tensor:
    """λ(x) = tanh(x / 2) / 4x, 1/8 at 0."""
    small = x.abs() < 1e-4
    safe = torch.where(small, 1.0, x)
    return torch.where(small, 1 / 8, (safe / 2).tanh() / (4 * safe))


def _ability(edges: Edges, right: Tensor, ability: Tensor, easiness: Tensor) -> Tensor:
    """(J,) α; `right` (N,) is w - 1/2."""
    beta = easiness[edges.item].exp()
    curvature = _curvature(ability[edges.annotator] * beta)
    gain, loss = edges.by_annotator.sum(torch.stack([right * beta, curvature * beta.square()], 1)).unbind(1)
    return (MEAN + gain) / (1 + 2 * loss)


def _easiness(edges: Edges, right: Tensor, ability: Tensor, easiness: Tensor) -> Tensor:
    """(I,) log β after a step; `right` (N,) is w - 1/2."""
    alpha = ability[edges.annotator]
    curvature = _curvature(alpha * easiness[edges.item].exp())
    gain, loss = edges.by_item.sum(torch.stack([right * alpha, curvature * alpha.square()], 1)).unbind(1)

    def height(u: Tensor) -> Tensor:
        return gain * u.exp() - loss * (2 * u).exp() - (u - MEAN).square() / 2

    beta = easiness.exp()
    slope = gain * beta - 2 * loss * beta.square() - (easiness - MEAN)
    bend = (4 * loss * beta.square() - gain * beta).clamp(min=0) + 1
    move = (slope / bend).clamp(-1, 1)
    best, top = easiness, height(easiness)
    for length in SHORTER:
        other = easiness + length * move
        best = torch.where((best == easiness) & (height(other) > top), other, best)
    return best


def _typical_ability(known: Tensor, prior: Prior) -> Tensor:
    """(J,) α from expected counts (J, 1 + K), every item being typical."""
    beta = prior["easiness"].exp()
    total = known[:, 1:].sum(1)
    right = known[:, 0] - total / 2
    ability = torch.full_like(total, MEAN)
    for _ in range(LIVE_ROUNDS):
        ability = (MEAN + right * beta) / (1 + 2 * total * _curvature(ability * beta) * beta.square())
    return ability


MODEL = Glad()
