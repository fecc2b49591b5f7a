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

from dataclasses import dataclass
from functools import cache

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


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What statistics say of J annotators. R is K, or 1 where classes are not told apart.

    Tables of few columns are kept by columns: long rows are worked on faster than many short ones.
    """

    statistics: Tensor  # (J, width)
    right: Tensor  # (R, J) the expected number right, by true class
    answered: Tensor  # (R, J) answers, likewise
    knowing: Tensor  # (J,) t_j


@dataclass(frozen=True, slots=True, eq=False)
class Guessing:
    """What a prior says of those who guess, and of how many know, laid out for the work (`Prior.derived`)."""

    luck: Tensor  # (R,) the probability that a guess is right, by true class
    unlucky: Tensor  # (R, 1) 1 less luck
    adding: Tensor  # (2, 2 R) what adds up two kinds of quotients, the second weighted by luck
    sure: Tensor  # () answers that knowing is worth in the prior
    assumed: Tensor  # () and all of them

    @classmethod
    def of(cls, prior: Prior) -> "Guessing":
        luck = lucky(prior)
        row = luck[None]
        sure, unsure = prior["knowing"]
        adding = torch.block_diag(torch.ones_like(row), row)
        return cls(luck, 1 - luck[:, None], adding, sure, sure + unsure)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Tables of a prior by cell, label + K * true class, for what is said of single answers."""

    guess: Tensor  # (K * K,)
    sure: Tensor  # (K * K,) by how much more likely the label is of who knows
    own: Tensor  # (K, 1) where the cells of a true class begin
    each: Tensor  # (K + 1, 1) 0 to K

    @classmethod
    def of(cls, prior: Prior) -> "Cells":
        guess, K = prior["guess"], classes_of(prior)
        each = torch.arange(K + 1, device=guess.device)[:, None]
        sure = torch.eye(K, dtype=guess.dtype, device=guess.device) - guess
        return cls(guess.flatten(), sure.flatten(), K * each[:K], each)


def classes_of(prior: Prior) -> int:
    return prior["classes"].numel()


def lucky(prior: Prior) -> Tensor:
    """The probability that a guess is right, by true class: (K,), or (1,) where classes are not told apart."""
    if "guess" in prior:
        return prior["guess"].diagonal()
    return torch.full((1,), 1 / classes_of(prior), dtype=torch.float64, device=prior["classes"].device)


def know(statistics: Tensor, prior: Prior, history: Tensor | None = None) -> Known:
    """`history` (J, 2), right and wrong, counts towards t_j like answers, those right spread as the classes are."""
    if "guess" in prior:
        right, answered = (_adding(classes_of(prior), statistics.device) @ statistics.t()).chunk(2)
    else:
        right, answered = statistics[:, :1].t(), statistics[:, 1:].sum(1)[None]
    hits, total = right, answered.sum(0)
    if history is not None:
        spread = prior["classes"] if "guess" in prior else prior["classes"].new_ones(1)
        hits, total = hits + spread[:, None] * history[:, 0], total + history.sum(1)
    return Known(statistics, right, answered, _knowing(hits, total, prior.derived(Guessing.of)))


@cache
def _adding(K: int, device: torch.device) -> Tensor:
    """(2 K, K * K) what adds up the numbers right and the answers by true class, one product for both.

    Sums on the grid of `statistics.quantise` have no rounding, in whatever order the product takes them.
    """
    own = torch.eye(K, dtype=torch.float64, device=device)
    return torch.cat([torch.diag_embed(own).reshape(K, K * K), own.repeat_interleave(K, 1)])


def _knowing(hits: Tensor, total: Tensor, guessing: Guessing) -> Tensor:
    """(R, J) numbers right, (J,) answers -> (J,) t_j.

    The zero of Σ_k N_kk t / (t + (1 - t) G_kk) + s T - t (n + s), which is concave in t, by Newton's method from a
    point that is never below it: from there it converges without a step too far.
    """
    R, J = hits.shape
    sure, adding, unlucky, luck = guessing.sure, guessing.adding, guessing.unlucky, guessing.luck[:, None]
    total = total + guessing.assumed
    t = hits.sum(0).add_(sure).div_(total)
    mixed, quotients, sums = torch.empty_like(hits), hits.new_empty(2 * R, J), hits.new_empty(2, J)
    (share, steep), (value, slope) = quotients.chunk(2), sums
    for _ in range(NEWTON):
        torch.addcmul(luck, unlucky, t, out=mixed)
        torch.div(hits, mixed, out=share)
        torch.div(share, mixed, out=steep)
        torch.mm(adding, quotients, out=sums)
        sums.sub_(total)
        value.mul_(t).add_(sure)
        t.addcdiv_(value, slope, value=-1)
    return t


def base(t: Tensor, guess: Tensor) -> Tensor:
    """b_jk: (J,), (K, K) -> (J, K, K) [true class, label]."""
    t = t[:, None, None]
    return t * torch.eye(guess.shape[0], dtype=guess.dtype, device=guess.device) + (1 - t) * guess


def rows(known: Known, prior: Prior, history: Tensor | None = None) -> Tensor:
    """The parameters of the Dirichlet posteriors of θ_jk: (J, K, K) [true class, label]."""
    K = classes_of(prior)
    own, b = known.statistics.reshape(-1, K, K), base(known.knowing, prior["guess"])
    return own + strengths(prior, history).t()[:, :, None] * b


def log_rows(known: Known, prior: Prior, history: Tensor | None = None) -> Tensor:
    """log E[θ_jkl] by cell, annotator * K + label: (J * K, K) [cell, true class]."""
    K = classes_of(prior)
    sizes = (known.answered + strengths(prior, history)).log().t()
    cells = rows(known, prior, history).transpose(1, 2).contiguous()
    return (cells.log() - sizes[:, None]).reshape(-1, K)


def log_answers(known: Known, annotator: Tensor, label: Tensor, prior: Prior, history: Tensor | None = None) -> Tensor:
    """log E[θ_jkl] by answer: (K, N) [true class, answer]."""
    K, J = known.answered.shape
    N = annotator.numel()
    cells = prior.derived(Cells.of)
    cell = cells.own + label  # (K, N) of one annotator's K * K
    own = known.statistics.view(-1).index_select(0, torch.add(cell, annotator, alpha=K * K).view(-1)).view(K, N)
    strength = strengths(prior, history)
    by_annotator = torch.cat([known.knowing[None], known.answered + strength]).view(-1)
    t, size = (
        by_annotator.index_select(0, torch.add(annotator, cells.each, alpha=J).view(-1)).view(K + 1, N).split([1, K])
    )
    cell = cell.view(-1)
    b = cells.guess.index_select(0, cell).view(K, N).addcmul_(cells.sure.index_select(0, cell).view(K, N), t)
    if history is not None:
        strength = strength.index_select(1, annotator)
    return own.addcmul_(b, strength).div_(size).log_()


def strengths(prior: Prior, history: Tensor | None = None) -> Tensor:
    """(K, 1 or J) ρ_k: a history of m answers makes a respondent's b_jk worth m π_k answers more."""
    strength = prior["strength"][:, None]
    return strength if history is None else strength + prior["classes"][:, None] * history.sum(1)


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
    known, luck = know(statistics, prior, history), lucky(prior)
    t, right = known.knowing, known.right.t()
    sure = right * t[:, None] / (t[:, None] + (1 - t[:, None]) * luck)  # known, not guessed
    count = float(layout.votes.sum())  # a whole number: exact in any order
    share = (block_sum(sure).sum() + PSEUDO * KNOWING) / (count + PSEUDO)
    strength = _coin_strength(sure.sum(1), known.answered.sum(0), share, prior["knowing"].sum() / SPREAD)
    learned = dict(prior)
    learned["knowing"] = SPREAD * strength * torch.stack([share, 1 - share])
    if "guess" not in prior:
        return Prior(learned)
    totals = (1 - ANCHOR) * block_sum(statistics).reshape(K, K) + ANCHOR * votes.reshape(K, K)
    certainty = block_sum(sure) / block_sum(right).clamp(min=LEAST)
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
    """The same for the rows (J, K, K) of each true class, their means (J, K, K) held: (K,).

    Only labels that were given gain anything, and most respondents have given few: ψ is taken of these alone.
    """
    n = counts.sum(2)
    given = counts.flatten().nonzero().squeeze(1)
    label, likely = counts.flatten()[given], mean.flatten()[given]
    true = given // counts.shape[2] % counts.shape[1]
    for _ in range(MINKA):
        alpha = strength[true] * likely
        gain = torch.zeros_like(counts)
        gain.view(-1)[given] = likely * (digamma(label + alpha) - digamma(alpha))
        gain = gain.sum(2)
        loss = digamma(n + strength) - digamma(strength)
        gains, losses = (block_sum(torch.cat([gain, loss], 1)) + LEAST).split(strength.numel())
        strength = (strength * gains / losses).clamp(0.3, 1000)
    return strength
