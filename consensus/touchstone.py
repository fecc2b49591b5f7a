"""Touchstone: the default model. A hierarchy of priors learned from the answers, and a test of their independence.

Respondents know or guess (`knowing`): a confusion row shrinks from a matrix of its own to one coin to the population.
The posterior of item i is

    log q_ik = β_i (log π_k + Σ_{n of i} log E[θ_{j_n, k, label_n}]) + const

with the posterior means of θ and, for π and the guesses G, half of what the posteriors say and half of what the votes
say: the anchor that stops EM from moving all items into one class (MAP estimation with a prior as strong as the data).
With gold, π is also what gold says of it (`composition`).

Shape. First β_i = 1: answers are independent given the class. Then the residual agreement of answers to the same item
(`correlation`) is measured. It is zero if the shape is right. Above `CORRELATED`, respondents err together and the
model is fitted anew with β_i = n_i^-1/2, n_i the effective number of answers: n answers count as sqrt(n). Threshold and
exponent are not derived: they were chosen on public data sets with truth. With two or three answers to an item the
measure is weak, and the test misses correlation more often than it invents it. `agreement` and `discount` in the prior
say what was found and what was done, `Fit.shape` and `Fit.reason` in words.

Confidence (`confidence`) is computed from the fit and never feeds back.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from consensus import account, confidence, correlation, knowing
from consensus.account import Account
from consensus.answers import Answers
from consensus.composition import composition
from consensus.correlation import Heard, hear
from consensus.fit import Fit
from consensus.fixed_point import change, settle
from consensus.form import Form, form_for
from consensus.inference import Inference
from consensus.layout import Items, Layout, arrange, listed
from consensus.prior import Prior
from consensus.reliability import Reliability, interval, matched_beta
from consensus.segment import block_sum
from consensus.statistics import GRID, quantise, tally
from consensus.votes import clamp, shares

CORRELATED = 0.035
DISCOUNT = 0.5
ROUNDS = 40
INFORMED, GAP = 0.4, 0.05
"""What is assumed before the first fit: about the medians of the public data sets."""
FOLDS = 5
REVISIONS = 5


@dataclass(frozen=True, slots=True)
class Touchstone:
    """FULL: options mean the same in every challenge. COIN: they do not, or there are too many of them."""

    name: str = "touchstone"
    version: str = "2"

    def prior(self, K: int, form: Form) -> Prior:
        """Besides what `knowing.assumed` names: `agreement`, `discount`, and what describes doubt.

        `level` is for publishing (`confidence`); `informed` and `gap` are for intervals (:meth:`reliability`).
        """
        doubts = {"agreement": 0.0, "discount": 0.0, "level": 1.0, "informed": INFORMED, "gap": GAP}
        return Prior(knowing.assumed(K, form) | {name: torch.tensor(value) for name, value in doubts.items()})

    def fit(self, answers: Answers, *, form: Form | None = None) -> Fit:
        form = form or form_for(answers.K)
        layout, history = arrange(answers, form), answers.history
        open_ = _open(layout)
        start = self.prior(answers.K, form).to(answers.device)
        posterior, prior, residuals, converged = _settle(layout, start, history)
        log = _says(tally(layout, posterior), prior, history)
        agreement = correlation.residual_agreement(layout, log, posterior)
        level = confidence.plain_level(layout, prior["classes"], log, shared=form == Form.FULL)
        prior = Prior({**prior, "agreement": agreement, "level": level})
        if float(agreement) > CORRELATED:
            plain = _tempered(hear(layout, layout.evidence, log), prior).softmax(1)
            discount = torch.full_like(agreement, DISCOUNT)
            begin = Prior({**start, "agreement": agreement, "discount": discount})
            posterior, prior, more, converged = _settle(layout, begin, history)
            residuals += more
            log = _says(tally(layout, posterior), prior, history)
            tempered = _tempered(hear(layout, layout.evidence, log), prior)
            target = confidence.mean_confidence((plain + tempered.softmax(1))[open_] / 2)
            prior = Prior({**prior, "level": confidence.matched_level(tempered[open_], target)})
        posterior = quantise(posterior)
        statistics = tally(layout, posterior)
        prior = Prior({**prior, "level": _gold_level(answers, statistics, prior, form)})
        log = _says(statistics, prior, history)
        published = _published(hear(layout, layout.evidence, log), prior)
        known = clamp(published.log(), layout.gold).softmax(1)
        shape, reason = _shape(prior)
        return Fit(
            posterior=posterior,
            published=published,
            statistics=statistics,
            prior=Prior({**prior, **confidence.trust(layout.votes, posterior, known)}),
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
        return _published(_heard(listed(answers, form), statistics, prior, answers.history), prior)

    def infer(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Inference:
        items = listed(answers, form)
        heard = _heard(items, statistics, prior, answers.history)
        return Inference(quantise(_posterior(items, heard, prior)), _published(heard, prior))

    def account(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Account:
        """Steps: `correlation`, what answers to one challenge have in common; `tempering`, or with discounted evidence
        `shapes`, which brings it to the mixture of both shapes; `doubt`, that all may be wrong together.
        """
        log = _says(statistics, prior, answers.history)

        def joint(some: Answers) -> Tensor:
            items = listed(some, form)
            return _joint(hear(items, items.evidence, log), prior)

        items = listed(answers, form)
        heard = hear(items, items.evidence, log)
        tempered = _tempered(heard, prior)
        return account.logs(
            joint,
            answers,
            ("correlation", _tempered(heard, Prior({**prior, "level": torch.ones_like(prior["level"])}))),
            ("shapes" if float(prior["discount"]) else "tempering", tempered),
            ("doubt", confidence.doubt(tempered).log()),
        )

    def reliability(
        self, statistics: Tensor, prior: Prior, *, form: Form, history: Tensor | None = None
    ) -> Reliability:
        """Intervals allow for answers to uncertain items and for a whole crowd that is wrong together.

        n answers are worth `informed` n trials, the share of the information that inferred classes leave (Louis 1982),
        and `gap`, how far raw and published probabilities are apart, is one standard deviation common to all.
        """
        t = knowing.knowing(statistics, prior, history)
        before = prior["knowing"].sum() + (0 if history is None else history.sum(1))
        seen = prior["informed"] * knowing.answered(statistics, prior)
        doubt = t * (1 - t) / (seen + before + 1)
        lucky, classes = knowing.lucky(prior), prior["classes"]
        K = classes.numel()
        if form == Form.COIN:
            accuracy = t + (1 - t) / K
            variance = doubt * (1 - 1 / K) ** 2
            confusion = ((1 - t) / K)[:, None, None].repeat(1, K, K)
            confusion.diagonal(dim1=1, dim2=2).copy_(accuracy[:, None].expand(-1, K))
        else:
            rows = knowing.rows_of(statistics, t, prior, history)
            size, own = knowing.row_sums(rows), knowing.row_sums(statistics.reshape(-1, K, K))  # (J, K)
            confusion = rows / size[:, :, None]
            right = confusion.diagonal(dim1=1, dim2=2)
            accuracy = (right * classes).sum(1)
            slope = (classes * (1 - lucky) * (size - own) / size).sum(1)  # of accuracy by t
            known = size - (1 - prior["informed"]) * own
            variance = (classes.square() * right * (1 - right) / (known + 1)).sum(1) + slope.square() * doubt
        variance = variance + prior["gap"].square()
        bounded = accuracy.clamp(GRID, 1 - GRID)  # with one class there is no doubt, and no Beta distribution either
        low, high = interval(*matched_beta(bounded, variance.clamp(GRID**2, None).minimum(bounded * (1 - bounded) / 2)))
        return Reliability(accuracy, low, high, confusion)


def _shape(prior: Prior) -> tuple[str, str]:
    """What was taken of the answers to one item, given its class, and why."""
    found = f"the residual agreement of answers to one challenge is {float(prior['agreement']):.4f}"
    coin = "" if "guess" in prior else "one-coin, "
    if float(prior["discount"]):
        return f"{coin}correlated", f"{found}, above {CORRELATED}"
    return f"{coin}independent", f"{found}, not above {CORRELATED}"


def _settle(layout: Layout, prior: Prior, history: Tensor | None) -> tuple[Tensor, Prior, tuple[float, ...], bool]:
    """Fit cold from the votes: posterior, the prior it came from, residuals of all steps, and whether it converged."""
    begin = shares(layout)
    votes, gold = block_sum(tally(layout, begin)), composition(layout)

    posterior = begin
    residuals: list[float] = []
    for _ in range(ROUNDS):
        statistics = tally(layout, posterior)
        prior = knowing.learn(layout, statistics, posterior, votes, prior, history, gold)
        before, posterior = posterior, _posterior(layout, _heard(layout, statistics, prior, history), prior)
        residuals.append(change(posterior, before))

    def step(posterior: Tensor) -> Tensor:
        return _posterior(layout, _heard(layout, tally(layout, posterior), prior, history), prior)

    settled = settle(step, posterior)
    return settled.posterior, prior, (*residuals, *settled.residuals), settled.converged


def _heard(items: Items, statistics: Tensor, prior: Prior, history: Tensor | None) -> Heard:
    """What the items' answers say, of which only those cells are worked out that occur, if that is less."""
    if items.form == Form.FULL and items.evidence.index.numel() < items.J * items.K:
        return hear(items, items.apart, _says(statistics, prior, history, items.evidence.index))
    return hear(items, items.evidence, _says(statistics, prior, history))


def _says(statistics: Tensor, prior: Prior, history: Tensor | None, cells: Tensor | None = None) -> Tensor:
    """log p(label | true class) of one answer, as in `correlation.hear`; in form FULL of these cells, or of all."""
    if "guess" in prior:
        return knowing.log_rows(statistics, prior, history, cells)
    wrong = (1 - knowing.knowing(statistics, prior, history)) / knowing.classes_of(prior)
    return torch.stack([1 - wrong * (knowing.classes_of(prior) - 1), wrong], 1).log()


def _joint(heard: Heard, prior: Prior) -> Tensor:
    return prior["classes"].log() + heard.evidence


def _posterior(items: Items, heard: Heard, prior: Prior) -> Tensor:
    joint = _joint(heard, prior)
    if float(prior["discount"]):
        joint = joint * heard.worth ** -prior["discount"]
    return clamp(joint, items.gold).softmax(1)


def _tempered(heard: Heard, prior: Prior) -> Tensor:
    return confidence.temper(_joint(heard, prior), heard.worth, prior["level"])


def _published(heard: Heard, prior: Prior) -> Tensor:
    return confidence.rounded(confidence.doubt(_tempered(heard, prior)))


def _gold_level(answers: Answers, statistics: Tensor, prior: Prior, form: Form) -> Tensor:
    """() the level that gold calls for, cross-fitted: each fold of gold is inferred with itself not known to be gold.

    Without answers to gold, or with one class, it is the level there was.
    """
    if answers.gold is None or answers.K == 1:
        return prior["level"]
    asked = torch.bincount(answers.item, minlength=answers.I) > 0
    gold = (asked & (answers.gold >= 0)).nonzero().squeeze(1)
    parts = []
    for fold in range(min(FOLDS, gold.numel())):
        mine = gold[fold::FOLDS]
        place = torch.full_like(answers.gold, -1)
        place[mine] = torch.arange(mine.numel(), device=mine.device)
        own = place[answers.item] >= 0
        codes = place[answers.item[own]], answers.annotator[own], answers.label[own]
        layout = arrange(Answers(*codes, mine.numel(), answers.J, answers.K), form)
        others = statistics - tally(layout, one_hot(answers.gold[mine], answers.K).to(statistics.dtype))
        heard = _heard(layout, others, prior, answers.history)
        for _ in range(REVISIONS):
            believed = others + tally(layout, _posterior(layout, heard, prior))
            heard = _heard(layout, believed, prior, answers.history)
        parts.append(_tempered(heard, prior))
    if not parts:
        return prior["level"]
    known = torch.cat([answers.gold[gold[fold::FOLDS]] for fold in range(len(parts))])
    return confidence.gold_level(torch.cat(parts), known, prior["level"])


def _open(layout: Layout) -> Tensor:
    """(I,) the items that have answers and are not gold."""
    answered = layout.votes.sum(1) > 0
    return answered if layout.gold is None else answered & (layout.gold < 0)


MODEL = Touchstone()
