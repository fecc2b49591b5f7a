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
from functools import partial

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
from consensus.hearing import Hearing, listen
from consensus.inference import Inference
from consensus.knowing import Known
from consensus.layout import Items, Layout, arrange, listed
from consensus.prior import Prior
from consensus.reliability import Reliability, Skill, interval, matched_beta
from consensus.segment import block_sum
from consensus.statistics import GRID, quantise, quantise_, tally
from consensus.votes import clamp, normalised, shares

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
        posterior = quantise(posterior).contiguous()
        statistics = tally(layout, posterior)
        prior = Prior({**prior, "level": _gold_level(answers, statistics, prior, form)})
        published = _published(_listen(answers, statistics, prior, form).heard, prior).contiguous()
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
        return self.infer(answers, statistics, prior, form=form).published

    def infer(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Inference:
        hearing = _listen(answers, statistics, prior, form, keep=True)
        heard = hearing.heard
        joint = _joint(heard, prior)
        posterior = quantise_(_weighted(answers.gold, joint, heard.worth, prior))
        published = confidence.publish(joint, heard.worth, prior["level"])
        return Inference(posterior.contiguous(), published.contiguous(), hearing)

    def without(
        self,
        answers: Answers,
        some: Tensor,
        statistics: Tensor,
        prior: Prior,
        *,
        form: Form,
        found: Inference | None = None,
    ) -> Tensor:
        known = None if found is None else found.hearing
        hearing = known or _listen(answers, statistics, prior, form, keep=True)
        return _published(hearing.without(answers, some).heard, prior)

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

    def skill(self, statistics: Tensor, prior: Prior, *, form: Form) -> Skill:  # noqa: ARG002 - the prior is of a form
        """Intervals allow for answers to uncertain items and for a whole crowd that is wrong together.

        n answers are worth `informed` n trials, the share of the information that inferred classes leave (Louis 1982),
        and `gap`, how far raw and published probabilities are apart, is one standard deviation common to all.
        """
        return _skill(knowing.know(statistics, prior), prior, None)

    def reliability(
        self, statistics: Tensor, prior: Prior, *, form: Form, history: Tensor | None = None
    ) -> Reliability:
        """As :meth:`skill` and `knowing` have it."""
        known, K = knowing.know(statistics, prior, history), knowing.classes_of(prior)
        skill = _skill(known, prior, history)
        if form == Form.COIN:
            confusion = ((1 - known.knowing) / K)[:, None, None].repeat(1, K, K)
            confusion.diagonal(dim1=1, dim2=2).copy_(skill.accuracy[:, None].expand(-1, K))
        else:
            confusion = knowing.rows(known, prior, history)
            confusion = confusion / confusion.sum(2, keepdim=True)
        return Reliability(skill.accuracy, skill.low, skill.high, confusion)


@dataclass(frozen=True, slots=True, eq=False)
class _Spread:
    """What intervals are made of, as the prior says (`Prior.derived`)."""

    before: Tensor  # () what t is known from before anything is seen
    common: Tensor  # () the variance that all have in common
    slope: Tensor  # (R,) of accuracy by what knowing is worth
    squares: Tensor  # (K,) of the classes' shares

    @classmethod
    def of(cls, prior: Prior) -> "_Spread":
        classes, luck = prior["classes"], knowing.lucky(prior)
        return cls(prior["knowing"].sum(), prior["gap"].square(), classes * (1 - luck), classes.square())


def _skill(known: Known, prior: Prior, history: Tensor | None) -> Skill:
    t, spread = known.knowing, prior.derived(_Spread.of)
    before = spread.before + (1 if history is None else history.sum(1) + 1)
    doubt = t * (1 - t) / (prior["informed"] * known.answered.sum(0) + before)
    if "guess" in prior:
        strength, guessing = knowing.strengths(prior, history), prior.derived(knowing.Guessing.of)
        size = known.answered + strength  # (K, J); so are all tables here
        right = torch.addcmul(guessing.luck[:, None], guessing.unlucky, t).mul_(strength).add_(known.right).div_(size)
        accuracy = prior["classes"] @ right
        slope = spread.slope @ (strength / size)  # of accuracy by t
        trials = torch.addcmul(strength + 1, known.answered, prior["informed"])
        variance = spread.squares @ (right * (1 - right)).div_(trials) + slope.square_() * doubt
    else:
        K = knowing.classes_of(prior)
        accuracy = t + (1 - t) / K
        variance = doubt * (1 - 1 / K) ** 2
    variance += spread.common
    bounded = accuracy.clamp(GRID, 1 - GRID)  # with one class there is no doubt, and no Beta distribution either
    widest = bounded * (1 - bounded) / 2
    return Skill(accuracy, *interval(*matched_beta(bounded, variance.clamp_(min=GRID**2).minimum(widest))))


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
        before, posterior = posterior, _posterior(layout.gold, _heard(layout, statistics, prior, history), prior)
        residuals.append(change(posterior, before))

    def step(posterior: Tensor) -> Tensor:
        return _posterior(layout.gold, _heard(layout, tally(layout, posterior), prior, history), prior)

    settled = settle(step, posterior)
    return settled.posterior, prior, (*residuals, *settled.residuals), settled.converged


def _listen(answers: Answers, statistics: Tensor, prior: Prior, form: Form, *, keep: bool = False) -> Hearing:
    """What the answers say, whatever their order."""
    history = answers.history
    known = knowing.know(statistics, prior, history)
    if form == Form.FULL:
        return listen(answers, partial(knowing.log_answers, known, prior=prior, history=history), form, keep=keep)
    says = _coin(known, prior)
    return listen(answers, lambda annotator, _: says.index_select(0, annotator).t(), form, keep=keep)


def _heard(items: Items, statistics: Tensor, prior: Prior, history: Tensor | None) -> Heard:
    """What the items' answers say, of which only those cells are worked out that occur, if that is less."""
    cells, K = items.evidence.index, items.K
    if items.form == Form.FULL and cells.numel() < items.J * K:
        known = knowing.know(statistics, prior, history)
        return hear(items, items.apart, knowing.log_answers(known, cells // K, cells % K, prior, history).t())
    return hear(items, items.evidence, _says(statistics, prior, history))


def _says(statistics: Tensor, prior: Prior, history: Tensor | None) -> Tensor:
    """log p(label | true class) of one answer, as in `correlation.hear`."""
    known = knowing.know(statistics, prior, history)
    return knowing.log_rows(known, prior, history) if "guess" in prior else _coin(known, prior)


def _coin(known: Known, prior: Prior) -> Tensor:
    """(J, 2) log p of being right, and of each wrong label."""
    K = knowing.classes_of(prior)
    wrong = (1 - known.knowing) / K
    return torch.stack([1 - wrong * (K - 1), wrong], 1).log_()


def _joint(heard: Heard, prior: Prior) -> Tensor:
    return prior["classes"].log() + heard.evidence


def _posterior(gold: Tensor | None, heard: Heard, prior: Prior) -> Tensor:
    return _weighted(gold, _joint(heard, prior), heard.worth, prior)


def _weighted(gold: Tensor | None, joint: Tensor, worth: Tensor, prior: Prior) -> Tensor:
    """Posteriors from log p(answers, class), with the discount of the prior."""
    if prior.derived(_discounts):
        joint = joint * worth.log().mul_(-prior["discount"]).exp_()
    return normalised(clamp(joint, gold))


def _discounts(prior: Prior) -> bool:
    return bool(prior["discount"])


def _tempered(heard: Heard, prior: Prior) -> Tensor:
    return confidence.temper(_joint(heard, prior), heard.worth, prior["level"])


def _published(heard: Heard, prior: Prior) -> Tensor:
    return confidence.publish(_joint(heard, prior), heard.worth, prior["level"])


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
            believed = others + tally(layout, _posterior(layout.gold, heard, prior))
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
