"""Incremental EM: revise the items that answers touched, and nothing else.

Neal & Hinton (1998), "A view of the EM algorithm that justifies incremental, sparse, and other variants", section 4:
recompute the posterior of some items, take their old contribution out of the statistics and put the new one in. On the
grid of `statistics.quantise` this is exact, so that S_j = sum over the stored posteriors of j's counted answers holds
to the bit at all times.
"""

from dataclasses import dataclass

from torch import Tensor

from consensus.answers import Answers
from consensus.form import Form
from consensus.model import Model
from consensus.prior import Prior
from consensus.statistics import count


@dataclass(frozen=True, slots=True, eq=False)
class Revision:
    """The touched items' new posteriors and their annotators' new statistics."""

    posterior: Tensor  # (I, K), to be stored: the statistics count it
    published: Tensor  # (I, K), to be shown
    statistics: Tensor  # (J, width)


def revise(
    model: Model, before: Answers, stored: Tensor, after: Answers, statistics: Tensor, prior: Prior, *, form: Form
) -> Revision:
    """Give the items of a claim the posteriors that all their answers and the current statistics call for.

    Args:
        before: the answers to these items that `statistics` counts, under `stored`.
        stored: (I, K) the items' posteriors so far; rows of items without answers in `before` do not matter.
        after: all answers to these items that count from now on; items, annotators and classes as in `before`.
        statistics: (J, width) current statistics of the annotators, from all items.
        prior: the project's, from its latest fit or from `Model.prior`.
    """
    found = model.infer(after, statistics, prior, form=form)
    statistics = statistics - count(form, before, stored) + count(form, after, found.posterior)
    return Revision(found.posterior, found.published, statistics)
