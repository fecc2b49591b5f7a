"""Enhanced Bayesian classifier combination (EBCC): annotators who err together, by subtypes of each class.

Li, Rubinstein & Cohn (2019), "Exploiting worker correlation for label aggregation in crowdsourcing", sections 3 and 4:
items of class k come in M subtypes, and given class and subtype annotators are independent. What they share given the
class alone, such as all being misled by the same items, is correlation.

    τ ~ Dirichlet(γ),  π_k ~ Dirichlet(a / M),  v_jkm ~ Dirichlet(α_k)
    p(z_i = k, g_i = m) = τ_k π_km,     p(label_n = l | k, m) = v_{j_n, k, m, l}

Mean field between (z_i, g_i) and (τ, π, v):

    log ρ_ikm = E log τ_k + E log π_km + Σ_{n of i} E log v_{j_n, k, m, label_n} + const,     q_ik = Σ_m ρ_ikm
    q(τ) = Dirichlet(γ + Σ_i q_i),  q(π_k) = Dirichlet(a / M + Σ_i ρ_ik),  q(v_jkm) = Dirichlet(α_k + N_jm[k, ·])
    bound = Σ_i log Σ_km exp(E log τ_k + E log π_km + Σ_n E log v) - KL(τ) - Σ_k KL(π_k) - Σ_jkm KL(v_jkm)

M = 10 and a = 0.1 as in the paper; α_k is that of :mod:`consensus.ibcc`; γ are the shares of the votes as in
:mod:`consensus.em` (the authors' "empirical prior").

Subtypes start from random splits of the vote shares. Ten are tried for 20 iterations, and that with the highest bound
goes on to the end; `Fit.seed` tells which. A split must not depend on how anything is numbered: the weight of subtype m
for an item is drawn as a random function, cosines of random frequencies, of what marks the item's annotators (how many
answers, how often with the vote) and of whether they chose the class. Annotators alike in both are not told apart.

In form COIN v_jkm is a row of right and wrong, the same for all classes.

Live, statistics hold no subtypes: an update is that of iBCC from N_j = Σ_m N_jm, which is what mean field gives for
M = 1. Whatever correlation the fit found is not in it, and it is surer of itself than the fit.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from consensus import ibcc
from consensus.account import Account
from consensus.answers import Answers
from consensus.ascent import ascend
from consensus.dirichlet import divergence, expected_log
from consensus.fit import Fit
from consensus.form import Form, form_for
from consensus.layout import Layout, arrange
from consensus.prior import Prior
from consensus.reliability import Reliability
from consensus.segment import block_sum
from consensus.statistics import coin, count, quantise, tally
from consensus.tables import stacked_counts, stacked_evidence
from consensus.uncalibrated import Uncalibrated
from consensus.votes import shares

SUBTYPES = 10
SPARSITY = 0.1
SEEDS = 10
TRIAL = 20
FREQUENCY = (40.0, 7.0)
CONTRAST = 2.0
TOGETHER = 2**22
"""Numbers up to which posteriors of several trials are kept at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What does not change while iterating. Trials are a dimension T of everything that does."""

    layout: Layout
    votes: Tensor  # (I, K)
    answered: Tensor  # (I, 1)
    classes: Tensor  # γ (K,)
    rows: Tensor  # α (R, L)

    @classmethod
    def of(cls, answers: Answers, form: Form) -> "Problem":
        layout = arrange(answers, form)
        votes = shares(layout)
        answered = (layout.votes.sum(1, keepdim=True) > 0).to(votes.dtype)
        classes = block_sum(votes * answered) + 1 / answers.K
        return cls(layout, votes, answered, classes, ibcc.rows(form, answers.K).to(votes.device))

    def step(self, joint: Tensor) -> tuple[Tensor, Tensor]:
        """ρ (I, T, K, M) -> the next one and the bound (T,)."""
        _, T, K, M = joint.shape
        sizes = block_sum((joint * self.answered[:, :, None, None]).flatten(1)).reshape(T, K, M)
        classes = self.classes + sizes.sum(2)  # (T, K)
        subtypes = SPARSITY / M + sizes
        rows = stacked_counts(self.layout, joint) + self.rows[:, None]  # (J, T, R, M, L)
        log_joint = stacked_evidence(self.layout, expected_log(rows))
        log_joint = log_joint + expected_log(classes)[:, :, None] + expected_log(subtypes)
        if self.layout.gold is not None:
            gold = self.layout.gold[:, None, None, None]
            wrong = (gold >= 0) & (gold != torch.arange(K, device=joint.device)[:, None])
            log_joint = log_joint.masked_fill(wrong, float("-inf"))
        total = log_joint.flatten(2).logsumexp(2)  # (I, T)
        bound = (
            block_sum(total * self.answered)
            - divergence(classes, self.classes)
            - divergence(subtypes, torch.full_like(subtypes, SPARSITY / M)).sum(1)
            - block_sum(divergence(rows, self.rows[:, None]).flatten(2).sum(2))
        )
        return (log_joint - total[:, :, None, None]).exp(), bound

    def draw(self, seeds: range) -> Tensor:
        """Random splits of the votes into subtypes, (I, T, K, M)."""
        layout = self.layout
        K = layout.K
        known = coin(layout.form, K, tally(layout, self.votes))
        number = known[:, 1:].sum(1)
        marks = torch.stack([known[:, 0] / number.clamp(min=1), number.log1p()], 1)  # (J, 2)
        waves = [_waves(seed) for seed in seeds]
        frequency, phase = (torch.stack(parts).to(marks) for parts in zip(*waves, strict=True))  # (T, 2, M, 2), ...
        said = (torch.einsum("jf,tfml->jtml", marks, frequency) + phase).cos()  # (J, T, M, 2), class or another
        if layout.form == Form.FULL:
            own = torch.eye(K, dtype=torch.bool, device=marks.device)[:, None]  # (K, 1, L)
            said = torch.where(own, said[:, :, None, :, :1], said[:, :, None, :, 1:])  # (J, T, K, M, L)
        else:
            said = said[:, :, None]
        weights = stacked_evidence(layout, said) / layout.votes.sum(1).clamp(min=1).sqrt()[:, None, None, None]
        return self.votes[:, None, :, None] * (CONTRAST * weights).softmax(3)


@dataclass(frozen=True, slots=True)
class Ebcc(Uncalibrated):
    """Prior: that of iBCC."""

    name: str = "ebcc"
    version: str = "1"

    def prior(self, K: int, form: Form) -> Prior:
        return ibcc.MODEL.prior(K, form)

    def fit(self, answers: Answers, *, form: Form | None = None) -> Fit:
        form = form or form_for(answers.K)
        problem = Problem.of(answers, form)
        seed, joint, trace = _best_trial(problem)

        def step(_: Tensor, joint: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            joint, bound = problem.step(joint)
            return joint.sum(3)[:, 0], joint, bound[0]

        ascent = ascend(step, joint.sum(3)[:, 0], joint)
        posterior = quantise(ascent.posterior)
        weights = problem.classes + block_sum(posterior * problem.answered)
        statistics = count(form, answers, posterior)
        prior = Prior({**ibcc.MODEL.prior(answers.K, form).to(posterior.device), "classes": weights / weights.sum()})
        trace += ascent.trace
        return self.fitted(
            answers,
            form,
            posterior,
            statistics,
            prior,
            iterations=len(trace),
            converged=ascent.converged,
            objective=trace,
            seed=seed,
        )

    def update(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        return ibcc.MODEL.update(answers, statistics, prior, form=form)

    def account(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Account:
        return ibcc.MODEL.account(answers, statistics, prior, form=form)

    def reliability(self, statistics: Tensor, prior: Prior, *, form: Form) -> Reliability:
        return ibcc.MODEL.reliability(statistics, prior, form=form)


def _best_trial(problem: Problem) -> tuple[int, Tensor, tuple[float, ...]]:
    """The seed with the highest bound after the trial, its ρ (I, 1, K, M) and its bounds."""
    size = max(1, problem.votes.numel() * SUBTYPES)
    together = max(1, min(SEEDS, TOGETHER // size))
    best: tuple[int, Tensor, tuple[float, ...]] | None = None
    for first in range(0, SEEDS, together):
        seeds = range(first, min(first + together, SEEDS))
        joint, bounds = problem.draw(seeds), []
        for _ in range(TRIAL):
            joint, bound = problem.step(joint)
            bounds.append(bound)
        traces = torch.stack(bounds, 1).tolist()  # T lists of TRIAL
        for place, (seed, trace) in enumerate(zip(seeds, traces, strict=True)):
            if best is None or trace[-1] > best[2][-1] + 1e-9 * abs(best[2][-1]):
                best = seed, joint[:, place : place + 1].clone(), tuple(trace)
    assert best is not None  # noqa: S101 - there are seeds
    return best


def _waves(seed: int) -> tuple[Tensor, Tensor]:
    """Frequencies (2, M, 2) [mark, subtype, class or another] and phases (M, 2) of a trial."""
    random = Generator().manual_seed(seed)
    frequency = torch.randn(2, SUBTYPES, 2, dtype=torch.float64, generator=random)
    phase = torch.rand(SUBTYPES, 2, dtype=torch.float64, generator=random) * (2 * torch.pi)
    return frequency * torch.tensor(FREQUENCY, dtype=torch.float64)[:, None, None], phase


MODEL = Ebcc()
