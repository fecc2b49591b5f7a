"""Know or guess: how a respondent's confusion row shrinks from a matrix of its own to one coin to the population.

A respondent j knows the answer with probability t_j and says it; otherwise j guesses as the population does:

    p(label = l | true class k) = θ_jkl,    θ_jk ~ Dirichlet(ρ_k b_jk),    b_jk = t_j e_k + (1 - t_j) G_k

the "naive or adversarial" split of MACE (Hovy, Berg-Kirkpatrick, Vaswani & Hovy 2013) as the mean of a hierarchical
Dirichlet prior (Kim & Ghahramani 2012). With few answers to a class the row is b_jk, with many it is j's own; ρ_k says
what is few and is learned. The knowing t_j maximises

    Σ_k N_j[k, k] log(t + (1 - t) G_kk) + (n_j - Σ_k N_j[k, k]) log(1 - t) + s T log t + s (1 - T) log(1 - t)

which is strictly concave. In the form of one coin G is uniform, and a respondent is t_j alone.

Why guesses rather than errors: with G and π at the shares of votes, answers that nobody checks are their own
explanation, so that a challenge with one answer keeps it.
"""

from functools import reduce

import torch
from torch import Tensor
from torch.special import digamma

from consensus.composition import Composition
from consensus.form import Form
from consensus.layout import Layout
from consensus.prior import Prior
from consensus.segment import block_sum

KNOWING = 0.55
"""What is assumed of a respondent of whom nothing is known, with the weight of `PSEUDO` answers."""
PSEUDO = 10.0
STRENGTH = 4.0
ANCHOR = 0.5
"""How much of what is learned of the population is what the votes say, unrevised."""
SPREAD = 0.5
"""Expected counts of known answers vary less than the counts; their beta-binomial strength is about twice the truth."""
NEWTON = 8
MINKA = 4
LEAST = 1e-2


def assumed(K: int, form: Form) -> dict[str, Tensor]:
    """The population before anything is known of it."""
    knowing = torch.tensor([KNOWING, 1 - KNOWING], dtype=torch.float64) * STRENGTH
    population = {"classes": torch.full((K,), 1 / K, dtype=torch.float64), "knowing": knowing}
    if form == Form.FULL:
        population["guess"] = torch.full((K, K), 1 / K, dtype=torch.float64)
        population["strength"] = torch.full((K,), STRENGTH, dtype=torch.float64)
    return population


def classes_of(prior: Prior) -> int:
    return prior["classes"].numel()


def right(statistics: Tensor, prior: Prior) -> Tensor:
    """The expected number right, by true class: (J, K), or (J, 1) where classes are not told apart."""
    K = classes_of(prior)
    if "guess" in prior:
        return statistics.reshape(-1, K, K).diagonal(dim1=1, dim2=2)
    return statistics[:, :1]


def answered(statistics: Tensor, prior: Prior) -> Tensor:
    """How many answers each respondent gave: (J,)."""
    return (statistics if "guess" in prior else statistics[:, 1:]).sum(1)


def lucky(prior: Prior) -> Tensor:
    """The probability that a guess is right, by true class: (K,), or (1,) where classes are not told apart."""
    if "guess" in prior:
        return prior["guess"].diagonal()
    return torch.full((1,), 1 / classes_of(prior), dtype=torch.float64, device=prior["classes"].device)


def knowing(statistics: Tensor, prior: Prior, history: Tensor | None = None) -> Tensor:
    """(J,) t_j. `history` (J, 2), right and wrong, counts like answers, those right spread as the classes are.

    The zero of Σ_k N_kk t / (t + (1 - t) G_kk) + s T - t (n + s), which is concave in t, by Newton's method from a
    point that is never below it: from there it converges without a step too far.
    """
    hits, luck = right(statistics, prior), lucky(prior)
    sure, strength = prior["knowing"][0], prior["knowing"].sum()
    total = answered(statistics, prior) + strength
    if history is not None:
        hits = hits + history[:, :1] * (prior["classes"] if "guess" in prior else 1)
        total = total + history.sum(1)
    hits = hits.t().contiguous()  # (K, J): long rows are worked on faster than many short ones
    luck, unlucky = luck[:, None], 1 - luck[:, None]
    t = (hits.sum(0) + sure) / total
    for _ in range(NEWTON):
        mixed = t * unlucky + luck
        share = hits / mixed
        value = t * (share.sum(0) - total) + sure
        slope = (share.div_(mixed) * luck).sum(0) - total
        t = t - value / slope
    return t


def base(t: Tensor, guess: Tensor) -> Tensor:
    """b_jk: (J,), (K, K) -> (J, K, K) [true class, label]."""
    t = t[:, None, None]
    return t * torch.eye(guess.shape[0], dtype=guess.dtype, device=guess.device) + (1 - t) * guess


def rows(statistics: Tensor, prior: Prior, history: Tensor | None = None) -> Tensor:
    """The parameters of the Dirichlet posteriors of θ_jk: (J, K, K) [true class, label]."""
    return rows_of(statistics, knowing(statistics, prior, history), prior, history)


def rows_of(statistics: Tensor, t: Tensor, prior: Prior, history: Tensor | None = None) -> Tensor:
    """As :func:`rows`, of whom it is known how much they know (J,)."""
    K = classes_of(prior)
    b = base(t, prior["guess"])
    return statistics.reshape(-1, K, K) + _strengths(prior, history)[:, :, None] * b


def log_rows(statistics: Tensor, prior: Prior, history: Tensor | None = None, cells: Tensor | None = None) -> Tensor:
    """log E[θ_jkl] by cell, annotator * K + label: (J * K, K) [cell, true class], or (C, K) of these `cells`."""
    K = classes_of(prior)
    counts, strengths = statistics.reshape(-1, K, K), _strengths(prior, history)
    sizes = (row_sums(counts) + strengths).log()
    if cells is None:
        cell_rows = rows(statistics, prior, history).transpose(1, 2).contiguous()
        return (cell_rows.log() - sizes[:, None]).reshape(-1, K)
    annotator, label = cells // K, cells % K
    t = knowing(statistics, prior, history).index_select(0, annotator)[:, None]
    guessed = prior["guess"].t().contiguous()
    sure = torch.eye(K, dtype=sizes.dtype, device=sizes.device) - guessed
    b = torch.addcmul(guessed.index_select(0, label), t, sure.index_select(0, label))
    strength = strengths if history is None else strengths.index_select(0, annotator)
    own = counts.transpose(1, 2).reshape(-1, K).index_select(0, cells)
    return own.addcmul_(b, strength).log_().sub_(sizes.index_select(0, annotator))


def row_sums(counts: Tensor) -> Tensor:
    """(J, K, K) -> (J, K); columns are added faster than short rows."""
    return reduce(torch.add, counts.unbind(2))


def _strengths(prior: Prior, history: Tensor | None) -> Tensor:
    """(1 or J, K) ρ_k: a history of m answers makes a respondent's b_jk worth m π_k answers more."""
    strength = prior["strength"][None]
    return strength if history is None else strength + history.sum(1, keepdim=True) * prior["classes"]


def learn(
    layout: Layout,
    statistics: Tensor,
    posterior: Tensor,
    votes: Tensor,
    prior: Prior,
    history: Tensor | None = None,
    gold: Composition | None = None,
) -> Prior:
    """What the population is like: from posteriors (I, K), their counts (J, width) and the votes' counts (width,)."""
    K = layout.K
    t, luck = knowing(statistics, prior, history), lucky(prior)
    sure = right(statistics, prior) * t[:, None] / (t[:, None] + (1 - t[:, None]) * luck)  # known, not guessed
    count = float(layout.votes.sum())  # a whole number: exact in any order
    share = (block_sum(sure).sum() + PSEUDO * KNOWING) / (count + PSEUDO)
    strength = _coin_strength(sure.sum(1), answered(statistics, prior), share, prior["knowing"].sum() / SPREAD)
    learned = dict(prior)
    learned["knowing"] = SPREAD * strength * torch.stack([share, 1 - share])
    if "guess" not in prior:
        return Prior(learned)
    totals = (1 - ANCHOR) * block_sum(statistics).reshape(K, K) + ANCHOR * votes.reshape(K, K)
    certainty = block_sum(sure) / block_sum(right(statistics, prior)).clamp(min=LEAST)
    guesses = totals - (totals.diagonal() * certainty).diag()
    popular = (layout.votes.sum(0) + 1) / (count + K)
    pooled = (guesses.sum(0) + K * popular) / (guesses.sum() + K)
    learned["guess"] = (guesses + K * pooled) / (guesses.sum(1, keepdim=True) + K)
    present = (layout.votes.sum(1, keepdim=True) > 0).to(posterior.dtype)
    items = present.sum()
    by_vote = block_sum(layout.votes / layout.votes.sum(1, keepdim=True).clamp(min=1))
    by_model = block_sum(posterior * present)
    expected = ANCHOR * by_vote + (1 - ANCHOR) * by_model
    if gold is not None:
        expected = (1 - gold.weight) * expected + gold.weight * items * gold.shares
    learned["classes"] = (expected + 1 / K) / (items + 1)
    learned["classes"] = learned["classes"] / learned["classes"].sum()
    learned["strength"] = _row_strength(statistics.reshape(-1, K, K), base(t, learned["guess"]), prior["strength"])
    return Prior(learned)


def _coin_strength(hits: Tensor, n: Tensor, mean: Tensor, strength: Tensor) -> Tensor:
    """Minka (2000), "Estimating a Dirichlet distribution", equation 55, mean held: steps for a beta-binomial."""
    for _ in range(MINKA):
        a, b = strength * mean, strength * (1 - mean)
        gain = mean * (digamma(hits + a) - digamma(a)) + (1 - mean) * (digamma(n - hits + b) - digamma(b))
        loss = digamma(n + strength) - digamma(strength)
        gains, losses = block_sum(torch.stack([gain, loss], 1)) + LEAST
        strength = (strength * gains / losses).clamp(0.3, 300)
    return strength


def _row_strength(counts: Tensor, mean: Tensor, strength: Tensor) -> Tensor:
    """The same for the rows (J, K, K) of each true class, their means (J, K, K) held: (K,)."""
    n = counts.sum(2)
    for _ in range(MINKA):
        alpha = strength[:, None] * mean
        gain = (mean * (digamma(counts + alpha) - digamma(alpha))).sum(2)
        loss = digamma(n + strength) - digamma(strength)
        gains, losses = (block_sum(torch.cat([gain, loss], 1)) + LEAST).split(strength.numel())
        strength = (strength * gains / losses).clamp(0.3, 1000)
    return strength
