"""Models that publish what they infer.

What is gold must not be learnable from what is published: the published posterior of a gold item is what its answers
alone say, like that of any other item.
"""

from abc import ABC, abstractmethod
from dataclasses import replace

from torch import Tensor

from consensus.answers import Answers
from consensus.exclusion import exclude
from consensus.fit import Fit
from consensus.form import Form
from consensus.inference import Inference
from consensus.prior import Prior
from consensus.reliability import Reliability, Skill
from consensus.votes import pin


class Uncalibrated(ABC):
    """Publishing for models whose `update` says all they know. Given the statistics, items are independent there."""

    __slots__ = ()

    name: str
    version: str

    @abstractmethod
    def update(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        """As :class:`consensus.model.Model` has it."""

    @abstractmethod
    def reliability(self, statistics: Tensor, prior: Prior, *, form: Form) -> Reliability:
        """As :class:`consensus.model.Model` has it."""

    def skill(self, statistics: Tensor, prior: Prior, *, form: Form) -> Skill:
        return self.reliability(statistics, prior, form=form)

    def publish(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        return self.update(replace(answers, gold=None), statistics, prior, form=form)

    def infer(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Inference:
        published = self.publish(answers, statistics, prior, form=form)
        return Inference(pin(published, answers.gold), published)

    def without(
        self,
        answers: Answers,
        some: Tensor,
        statistics: Tensor,
        prior: Prior,
        *,
        form: Form,
        found: Inference | None = None,  # noqa: ARG002 - it does not help
    ) -> Tensor:
        return exclude(lambda others: self.publish(others, statistics, prior, form=form), answers, some)

    def fitted(
        self,
        answers: Answers,
        form: Form,
        posterior: Tensor,
        statistics: Tensor,
        prior: Prior,
        *,
        iterations: int,
        converged: bool,
        objective: tuple[float, ...] = (),
        residuals: tuple[float, ...] = (),
        seed: int | None = None,
    ) -> Fit:
        """What :meth:`consensus.model.Model.fit` returns, with what is to be published added to what was found."""
        return Fit(
            posterior=posterior,
            published=self.unclamped(answers, posterior, statistics, prior, form=form),
            statistics=statistics,
            prior=prior,
            objective=objective,
            residuals=residuals,
            iterations=iterations,
            converged=converged,
            model=self.name,
            version=self.version,
            seed=seed,
        )

    def unclamped(self, answers: Answers, posterior: Tensor, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        """A fit's posterior (I, K) with the rows of gold items as :meth:`publish` has them."""
        if answers.gold is None:
            return posterior
        gold = answers.gold >= 0
        mine = gold[answers.item]
        place = gold.cumsum(0) - 1
        some = Answers(
            place[answers.item[mine]],
            answers.annotator[mine],
            answers.label[mine],
            int(gold.sum()),
            answers.J,
            answers.K,
        )
        return posterior.index_copy(0, gold.nonzero().squeeze(1), self.publish(some, statistics, prior, form=form))
