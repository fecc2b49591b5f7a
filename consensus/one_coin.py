"""One coin: an annotator is right with one probability, whatever the class, and errs evenly.

Observation model of Dawid & Skene (1979) with tied parameters, as in Zhang, Chen, Zhou & Jordan (2016), section 6:

    p(label = l | true class k) = a_j               if l = k
                                  (1 - a_j)/(K - 1) otherwise,      a_j ~ Beta(1 + A, 1 + B)

M-step: a_j = (c_j + A) / (n_j + A + B), c_j the expected number right of j's n_j answers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus.em import EM
from consensus.form import Form
from consensus.prior import Prior
from consensus.reliability import Reliability, interval
from consensus.segment import block_sum

ACCURACY = 0.7
STRENGTH = 4.0
POOLING = 10.0


@dataclass(frozen=True, slots=True)
class Coin:
    """One probability of being right for each annotator. Prior: `coin` (2,) pseudo-answers right and wrong."""

    @property
    def form(self) -> Form:
        return Form.COIN

    def pseudo_counts(self, K: int, statistics: Tensor | None = None) -> dict[str, Tensor]:  # noqa: ARG002
        pooled = torch.tensor([ACCURACY, 1 - ACCURACY], dtype=torch.float64) * POOLING
        if statistics is not None:
            total = block_sum(statistics)
            pooled = pooled.to(total.device) + torch.stack([total[0], total[1:].sum() - total[0]])
        return {"coin": STRENGTH * pooled / pooled.sum()}

    def maximise(self, statistics: Tensor, prior: Prior) -> tuple[Tensor, Tensor]:
        log_accuracy = torch.stack(self._log_accuracy(statistics, prior), 1)  # (J, 2)
        return log_accuracy[:, None], prior["coin"] @ block_sum(log_accuracy)

    def reliability(self, statistics: Tensor, prior: Prior) -> Reliability:
        right, wrong = self._counts(statistics, prior)
        accuracy = right / (right + wrong)
        low, high = interval(right, wrong)
        K = statistics.shape[1] - 1
        confusion = ((1 - accuracy) / max(K - 1, 1))[:, None, None].repeat(1, K, K)
        confusion.diagonal(dim1=1, dim2=2).copy_(accuracy[:, None].expand(-1, K))
        return Reliability(accuracy, low, high, confusion)

    def _counts(self, statistics: Tensor, prior: Prior) -> tuple[Tensor, Tensor]:
        right = statistics[:, 0]
        A, B = prior["coin"]
        return right + A, statistics[:, 1:].sum(1) - right + B

    def _log_accuracy(self, statistics: Tensor, prior: Prior) -> tuple[Tensor, Tensor]:
        right, wrong = self._counts(statistics, prior)
        total = (right + wrong).log()
        return right.log() - total, wrong.log() - total


MODEL = EM(name="one-coin", version="1", full=Coin(), coin=Coin())
