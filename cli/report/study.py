"""What a report is about: a crowd's answers, the fit to them and, where it is known, the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.fit import Fit, leading
from consensus.form import Form
from consensus.model import Model
from consensus.scores import Scores

LONGEST = 48
CHUNK = 2**16


@dataclass(frozen=True, eq=False)
class Study:
    """Challenges, respondents and classes are the keys behind the codes of `answers`."""

    source: str
    answers: Answers
    challenges: Sequence[str]
    respondents: Sequence[str]
    classes: Sequence[str]
    model: Model
    form: Form
    fit: Fit
    truth: Tensor | None = None  # (I,) the true class or -1; a class that nobody chose has a code from K up
    scores: Scores | None = None  # with truth

    @cached_property
    def confidence(self) -> Tensor:
        """(I,)"""
        return self.fit.confidence

    @cached_property
    def entropy(self) -> Tensor:
        """(I,) in bits, at most log2 K."""
        parts = self.fit.published.split(CHUNK)
        return torch.cat([torch.special.entr(part).sum(1) for part in parts]) / torch.tensor(2.0).log()

    @cached_property
    def known(self) -> tuple[Tensor, Tensor]:
        """Of the challenges with truth: (T,) confidence and (T,) whether the verdict is right, 1 / t among t tied."""
        if self.truth is None:
            raise ValueError("truth: there is none")
        has = self.truth >= 0
        q, truth = self.fit.published[has], self.truth[has][:, None]
        tied = leading(q)
        right = tied.gather(1, truth.clamp(max=self.answers.K - 1)) & (truth < self.answers.K)
        return q.amax(1), right.squeeze(1).to(q.dtype) / tied.sum(1)


def clip(key: str, longest: int = LONGEST) -> str:
    """The key, or its two ends if it is longer than a page should show: keys often differ in their last characters."""
    if len(key) <= longest:
        return key
    end = longest * 2 // 5
    return f"{key[: longest - 1 - end]}…{key[-end:]}"
