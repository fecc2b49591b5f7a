"""Dawid & Skene (1979): every annotator has a confusion matrix of their own.

    p(label = l | true class k) = θ_jkl,     θ_jk ~ Dirichlet(1 + β_k)

E-step, equation 2.5 in log space:  log q_ik = log π_k + Σ_{n of i} log θ_{j_n, k, label_n} + const.
M-step, equations 2.3 and 2.4 with the prior's pseudo-counts:  θ_jkl = (N_j[k, l] + β_kl) / Σ_l (N_j[k, l] + β_kl),
N_j[k, l] = Σ_{n of (j, l)} q[item_n, k].

Above K = 16 a matrix for each annotator cannot be learned from the answers there are, and the model is one coin.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus.em import EM
from consensus.form import Form
from consensus.one_coin import ACCURACY, POOLING, Coin
from consensus.prior import Prior
from consensus.reliability import Reliability, interval, matched_beta
from consensus.segment import block_sum
from consensus.statistics import GRID

STRENGTH = 4.0


@dataclass(frozen=True, slots=True)
class Confusion:
    """A confusion matrix for each annotator. Prior: `confusion` (K, K) pseudo-answers [true class, label]."""

    @property
    def form(self) -> Form:
        return Form.FULL

    def pseudo_counts(self, K: int, statistics: Tensor | None = None) -> dict[str, Tensor]:
        pooled = torch.full((K, K), POOLING * (1 - ACCURACY) / max(K - 1, 1), dtype=torch.float64)
        pooled.fill_diagonal_(POOLING * ACCURACY)
        if statistics is not None:
            pooled = pooled.to(statistics.device) + block_sum(statistics).reshape(K, K)
        return {"confusion": STRENGTH * pooled / pooled.sum(1, keepdim=True)}

    def maximise(self, statistics: Tensor, prior: Prior) -> tuple[Tensor, Tensor]:
        rows = self._rows(statistics, prior)
        strength = rows.sum(2, keepdim=True).log_()
        rows.log_()
        pseudo = prior["confusion"]
        by_label = block_sum(rows.transpose(1, 2).flatten(1))
        log_prior = pseudo.t().flatten() @ by_label - pseudo.sum(1) @ block_sum(strength.flatten(1))
        return rows.sub_(strength), log_prior

    def reliability(self, statistics: Tensor, prior: Prior) -> Reliability:
        rows = self._rows(statistics, prior)
        strength = rows.sum(2)  # (J, K)
        confusion = rows / strength[:, :, None]
        right = confusion.diagonal(dim1=1, dim2=2)
        classes = prior["classes"]
        accuracy = (right * classes).sum(1)
        doubtful = right.clamp(max=1 - GRID)  # with one class there is no doubt, and no Beta distribution either
        variance = (doubtful * (1 - doubtful) / (strength + 1) * classes.square()).sum(1)
        low, high = interval(*matched_beta((doubtful * classes).sum(1), variance))
        return Reliability(accuracy, low, high, confusion)

    def _rows(self, statistics: Tensor, prior: Prior) -> Tensor:
        K = prior["confusion"].shape[0]
        return statistics.reshape(-1, K, K) + prior["confusion"]


MODEL = EM(name="dawid-skene", version="2", full=Confusion(), coin=Coin())
