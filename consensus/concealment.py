"""What may show of gold: how items are inferred so that nobody learns from the outside what is gold.

Two sets of statistics are kept: S, in which gold items are counted as what they are known to be, and U, in which they
are counted as what their answers say, as though nothing were gold. A respondent of few answers is seen through U, one
of many through S; and a gold item is inferred from U alone, so that it looks like any other item that its respondents
answered. What gold says of a respondent shows only once there is much else that says it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.form import Form
from consensus.inference import Inference
from consensus.model import Model
from consensus.prior import Prior


@dataclass(frozen=True, slots=True, eq=False)
class Veiled:
    """Statistics of J annotators, with and without what gold says."""

    clamped: Tensor  # (J, width) S
    open: Tensor  # (J, width) U
    many: Tensor  # (J,) bool, who has so many answers that S may show

    @property
    def seen(self) -> Tensor:
        """(J, width) what each annotator is seen through, but for their answers to gold."""
        return torch.where(self.many[:, None], self.clamped, self.open)


def infer(model: Model, answers: Answers, statistics: Veiled, prior: Prior, *, form: Form) -> Inference:
    """Both posteriors of the items, unclamped: `posterior` is what U counts.

    Args:
        answers: with `gold`; of a project that has none it is None, and this is the model's own inference.
    """
    if answers.gold is None:
        return model.infer(answers, statistics.seen, prior, form=form)
    hidden = answers.gold[answers.item] >= 0
    doubled = Answers(
        answers.item,
        answers.annotator + answers.J * hidden,
        answers.label,
        answers.I,
        2 * answers.J,
        answers.K,
    )
    return model.infer(doubled, torch.cat([statistics.seen, statistics.open]), prior, form=form)
