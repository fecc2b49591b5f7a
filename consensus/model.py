"""What every consensus model offers."""

from typing import Protocol

from torch import Tensor

from consensus.account import Account
from consensus.answers import Answers
from consensus.fit import Fit
from consensus.form import Form
from consensus.inference import Inference
from consensus.prior import Prior
from consensus.reliability import Reliability, Skill


class Model(Protocol):
    """A way to infer the true classes and whom to trust. It holds no state: what it knows is in statistics and prior.

    `form` lays out the statistics (J, width) and belongs to the project, not to the model: every model reads and writes
    both.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def prior(self, K: int, form: Form) -> Prior:
        """What to assume before the first fit. Made for K classes: nothing in it breaks when K is large."""

    def fit(self, answers: Answers, *, form: Form | None = None) -> Fit:
        """Fit cold to all answers of a project, gold clamped. `form` defaults to `form_for(K)`."""

    def update(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        """Posterior (I, K) of these items, given all their answers and their annotators' statistics.

        Gold is clamped; the result is on the grid of `statistics.quantise`.
        """

    def publish(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        """The probabilities to publish of these items, given as much: (I, K) float64.

        What is gold leaves no trace in them. The class that leads is the one that leads the unclamped posterior.
        """

    def infer(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Inference:
        """Both of :meth:`update` and :meth:`publish`, in one pass."""

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
        """(M, K) as :meth:`publish`, of the items of some (M,) answers, each without all answers of its own annotator.

        Nobody answered an item twice. `found` is what :meth:`infer` made of the same, where that is known.
        """

    def account(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Account:
        """What the published probabilities are made of, given as much. Gold is not looked at."""

    def reliability(self, statistics: Tensor, prior: Prior, *, form: Form) -> Reliability:
        """What the statistics say of their respondents. Statistics of zero give the population's."""

    def skill(self, statistics: Tensor, prior: Prior, *, form: Form) -> Skill:
        """As much of :meth:`reliability` as is known of respondents without confusion matrices."""
