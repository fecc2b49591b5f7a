"""What answers say of items, given what is known of those who gave them."""

from dataclasses import dataclass

from torch import Tensor

from consensus.hearing import Hearing


@dataclass(frozen=True, slots=True, eq=False)
class Inference:
    """Two posteriors: one to count with and one to show."""

    posterior: Tensor  # (I, K) gold clamped, on the grid of `statistics.quantise`: what statistics are counted from
    published: Tensor  # (I, K) from the answers alone, gold or not, calibrated where the model can; never counted
    hearing: Hearing | None = None  # what they were worked out from, of models that can take an answer out of it again
