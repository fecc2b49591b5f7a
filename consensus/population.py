"""What a crowd is like, learned between refits.

Between two refits a live update knows its respondents, but of the population only what the last fit learned, and before
the first one nothing: class shares, guesses, how much respondents differ, whether they err together. A fit of a sample
of the challenges, with all their answers, learns that at a bounded cost. Its prior is provisional; its posteriors and
statistics are not used, so that S_j stays what `live` says it is.
"""

from consensus.answers import Answers
from consensus.form import Form
from consensus.model import Model
from consensus.prior import Prior

GROWTH = 1.5
"""While answers come: so many times as many make a new lesson, O(log N) in all."""
IDLE_GROWTH = 1.05
"""When nothing waits to be graded, in any project."""
LEAST = 50
SAMPLE = 20_000
"""Answers. Half as many left one public set of 90,000, with 333 truths, 1.5 points behind its fit; so many did not."""


def due(answers: int, known: int, *, idle: bool) -> bool:
    """Whether to learn anew from so many answers, when there were `known` at the last fit or lesson."""
    return answers >= max(LEAST, (IDLE_GROWTH if idle else GROWTH) * known)


def learn(model: Model, sample: Answers, *, form: Form) -> Prior:
    """The prior for live updates. `sample`: about `SAMPLE` answers, all those to each of its items."""
    return model.fit(sample, form=form).prior
