"""What may show of gold: how items are inferred so that nobody learns from the outside what is gold.

Two sets of statistics are kept: S, in which gold items are counted as what they are known to be, and U, in which they
are counted as what their answers say, as though nothing were gold. A respondent of few answers is seen through U, one
of many through S: what gold says of a respondent shows only once there is much else that says it.

Every item is inferred in the same way, gold or not, so that two items that the same respondents answered alike have the
same posterior to the bit. Were gold inferred from U, the difference between S and U of a single respondent of many
answers would tell it from all other items that the respondent answered.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.form import Form
from consensus.inference import Inference
from consensus.model import Model
from consensus.prior import Prior


@dataclass(frozen=True, eq=False)
class Veiled:
    """Statistics of J annotators, with and without what gold says."""

    clamped: Tensor  # (J, width) S
    open: Tensor  # (J, width) U
    many: Tensor  # (J,) bool, who has so many answers that S may show

    @cached_property
    def seen(self) -> Tensor:
        """(J, width) what each annotator is seen through."""
        if self.open is self.clamped:
            return self.open
        return torch.where(self.many[:, None], self.clamped, self.open)


def infer(model: Model, answers: Answers, statistics: Veiled, prior: Prior, *, form: Form) -> Inference:
    """Both posteriors of the items, unclamped whatever is gold: `posterior` is what U counts."""
    plain = answers if answers.gold is None else replace(answers, gold=None)
    return model.infer(plain, statistics.seen, prior, form=form)
