"""Gold that does not behave like gold: wrong labels, leaked answers, respondents who hold the key.

All three are odds, log p(flag | answers) / p(no flag | answers), from answers to gold and from what respondents are
like elsewhere. Where more than one answer is needed to say so, none says it alone.

Wrong label (:func:`mislabelled`). The label g of an item is one more answer to it, wrong with a probability b that all
gold shares and in favour of any other class alike; a crowd, too, is misled by an item with probability `MISLED`, and
then says nothing of its class. With q the posterior that the item's answers alone give it, not clamped,

    p = (1 - MISLED) q + MISLED / K,      odds = b / (1 - b) / (K - 1)  *  (1 - p_g) / p_g

q comes from statistics out of which the item itself was taken, one annotator at a time (leave one out): under its
label, whoever contradicts it looks unreliable just for that. So do all under many wrong labels: the others are counted
not as labelled but as label and answers together have it, and b and they are learned by EM, with `LABELS` labels'
worth of b = `WRONG` assumed.

Leaked item (:func:`leaked_items`). Somebody who holds the key is right with probability 1 - `SLIP`. Otherwise answer n
is right with probability σ(logit a_n + δ_i), a_n the accuracy of its annotator for class g on challenges that are not
gold, and δ_i ~ Normal(μ, τ^2) the ease of the item: some gold is easy, and all of it may be easier, or respondents
better, than elsewhere. μ and τ are learned from the gold (EM on a grid of δ, leaked and mislabelled items weighed by
what they are believed to be), with `ITEMS` items' worth of Normal(0, 1) assumed. Odds = prior odds * the ratio of the
two marginal likelihoods of all the item's answers.

Key held (:func:`key_holders`). Beta-binomial marginal likelihoods of one rate against two. One: the rate θ_j of right
answers on gold is that elsewhere, moved by μ in its logit; p(θ_j) is the Beta distribution of the annotator's
reliability elsewhere. Two: it is another one, uniform above. For a group of annotators who are thought to share a key
the log ratios of its members add up and the prior odds count once.
"""

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from consensus.answers import Answers
from consensus.form import Form
from consensus.model import Model
from consensus.prior import Prior
from consensus.reliability import NORMAL_95, matched_beta
from consensus.statistics import count, quantise

WRONG = 0.02
LABELS = 50.0
MISLED = 0.02
LEAKED = 0.01
HOLDERS = 0.01
SLIP = 0.02
ITEMS = 10.0
ROUNDS = 10
EASE = torch.linspace(-5, 5, 41, dtype=torch.float64)
RATES = 200


@dataclass(frozen=True, slots=True, eq=False)
class Gold:
    """Gold items, all answers to them that count, and what is known of their annotators from all items.

    `statistics` (J, width) count the answers to gold under its labels: they are taken out where need be.
    """

    model: Model
    answers: Answers  # with `gold`; items that are not gold must have none
    statistics: Tensor
    prior: Prior
    form: Form


@dataclass(frozen=True, slots=True, eq=False)
class Flags:
    """Log odds, natural; 0 is as likely as not."""

    mislabelled: Tensor  # (I,)
    leaked: Tensor  # (I,)
    holders: Tensor  # (J,)


def flag(gold: Gold) -> Flags:
    """All three flags.

    Raises:
        ValueError: an item with answers is not gold.
    """
    answers, labels = gold.answers, _labels(gold.answers)
    if bool((labels[answers.item] < 0).any()):
        raise ValueError("answers: some are to items that are not gold")
    mislabelled_ = mislabelled(gold)
    elsewhere = gold.statistics - count(gold.form, answers, _one_hot(labels, answers.K))
    found = gold.model.reliability(elsewhere, gold.prior, form=gold.form)
    right = (answers.label == labels[answers.item]).to(torch.float64)
    of_class = found.confusion[answers.annotator, labels[answers.item], labels[answers.item]]
    shift, leaked = _leaked(answers, right, of_class, mislabelled_.sigmoid())
    deviation = ((found.high - found.low) / NORMAL_95).clamp(min=1e-3)
    accuracy = found.accuracy.clamp(1e-3, 1 - 1e-3)
    variance = deviation.square().minimum(accuracy * (1 - accuracy) / 2)
    hits = right.new_zeros(answers.J, 2).index_add(0, answers.annotator, torch.stack([right, 1 - right], 1))
    ratio = _two_rates(hits, *matched_beta(accuracy, variance), shift)
    return Flags(mislabelled_, leaked, ratio + _odds(HOLDERS))


def together(holders: Tensor, groups: Tensor, count: int) -> Tensor:
    """(G,) log odds that a group shares a key, from those of its members; the prior's, of a group without any.

    Args:
        holders: (J,) log odds of each annotator, as :func:`flag` finds them.
        groups: (J,) codes from 0 to `count` - 1, -1 for who is in none.
    """
    inside = groups >= 0
    ratio = holders[inside] - _odds(HOLDERS)
    return ratio.new_zeros(count).index_add(0, groups[inside], ratio) + _odds(HOLDERS)


def mislabelled(gold: Gold) -> Tensor:
    """(I,) log odds that the label is wrong; those of any other label for items without answers."""
    answers, labels = gold.answers, _labels(gold.answers)
    K, known = answers.K, labels >= 0
    if K == 1:
        return torch.full((answers.I,), -torch.inf, dtype=torch.float64, device=labels.device)
    answered = known & (torch.bincount(answers.item, minlength=answers.I) > 0)
    pairs, pair = (answers.item * answers.J + answers.annotator).unique(return_inverse=True)
    each = Answers(answers.item, pair, answers.label, answers.I, len(pairs), K)
    label = _one_hot(labels, K)
    elsewhere = gold.statistics - count(gold.form, answers, label)
    believed, wrong = label, torch.tensor(WRONG, dtype=torch.float64, device=labels.device)
    for _ in range(ROUNDS):
        statistics = elsewhere + count(gold.form, answers, believed)
        others = statistics[pairs % max(answers.J, 1)] - count(gold.form, each, believed)
        crowd = (1 - MISLED) * gold.model.update(each, others, gold.prior, form=gold.form) + MISLED / K
        joint = crowd * torch.where(label > 0, 1 - wrong, wrong / (K - 1))
        right = (joint * label).sum(1) / joint.sum(1)
        believed = quantise(joint / joint.sum(1, keepdim=True))
        wrong = (((1 - right) * answered).sum() + LABELS * WRONG) / (answered.sum() + LABELS)
    return torch.where(answered, -right.logit(), wrong.logit())


def _leaked(answers: Answers, right: Tensor, accuracy: Tensor, wrong: Tensor) -> tuple[Tensor, Tensor]:
    """() μ and (I,) log odds. `right`, `accuracy` (N,); `wrong` (I,) how likely the label is wrong."""
    ease = EASE.to(right.device)
    chance = (accuracy.logit(1e-6)[:, None] + ease).sigmoid()  # (N, T)
    each = torch.where(right[:, None] > 0, chance, 1 - chance).clamp(min=1e-12).log()
    usual = each.new_zeros(answers.I, len(ease)).index_add(0, answers.item, each)  # (I, T)
    known = torch.where(right > 0, log(1 - SLIP), log(SLIP))
    leaked = known.new_zeros(answers.I).index_add(0, answers.item, known)
    answered = torch.bincount(answers.item, minlength=answers.I) > 0
    shift, spread, odds = ease.new_zeros(()), ease.new_ones(()), leaked * 0
    for _ in range(ROUNDS):
        joint = usual + (-(ease - shift).square() / (2 * spread)).log_softmax(0)
        odds = leaked - joint.logsumexp(1) + _odds(LEAKED)
        weight = joint.softmax(1) * ((1 - odds.sigmoid()) * (1 - wrong) * answered)[:, None]
        total = weight.sum() + ITEMS
        shift = (weight * ease).sum() / total
        spread = ((weight * (ease - shift).square()).sum() + ITEMS * (1 + shift.square())) / total
    return shift, odds


def _two_rates(hits: Tensor, a: Tensor, b: Tensor, shift: Tensor) -> Tensor:
    """(J,) log of the marginal likelihood of a second, higher rate over that of one rate, of `hits` (J, 2)."""
    rate = (torch.arange(RATES, dtype=hits.dtype, device=hits.device) + 0.5) / RATES
    elsewhere = ((a[:, None] - 1) * rate.log() + (b[:, None] - 1) * (1 - rate).log()).softmax(1)  # (J, T)
    moved = (rate.logit() + shift).sigmoid()
    one = hits @ torch.stack([moved.log(), (1 - moved).log()])
    two = hits @ torch.stack([rate.log(), (1 - rate).log()])
    top = one.amax(1, keepdim=True).maximum(two.amax(1, keepdim=True))
    likely = (two - top).exp().flip(1).cumsum(1).flip(1) / torch.arange(RATES, 0, -1, device=hits.device)
    above = likely[:, torch.searchsorted(rate, moved).clamp(max=RATES - 1)]  # (J, T) mean over the rates above
    return (elsewhere * above).sum(1).log() - (elsewhere * (one - top).exp()).sum(1).log()


def _labels(answers: Answers) -> Tensor:
    return answers.item.new_full((answers.I,), -1) if answers.gold is None else answers.gold


def _one_hot(labels: Tensor, K: int) -> Tensor:
    """(I, K) float64; items that are not gold do not matter."""
    return one_hot(labels.clamp(min=0), K).to(torch.float64)


def _odds(probability: float) -> float:
    return log(probability / (1 - probability))
