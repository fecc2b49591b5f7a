"""Majority vote: each answer counts the same and ties are split."""

from dataclasses import dataclass

import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.fit import Fit
from consensus.form import Form, form_for
from consensus.layout import arrange
from consensus.prior import Prior
from consensus.votes import shares
from consensus.voting import Voting


@dataclass(frozen=True, slots=True)
class Majority(Voting):
    """The posterior is the share of votes: uniform without answers, one-hot for gold.

    Statistics change nothing in it; respondents are rated by how often they side with the vote.
    """

    name: str = "majority"
    version: str = "1"

    def fit(self, answers: Answers, *, form: Form | None = None) -> Fit:
        posterior = shares(arrange(answers, Form.COIN))
        return self.counted(answers, form or form_for(answers.K), posterior, iterations=0)

    def weigh(self, statistics: Tensor, prior: Prior, form: Form) -> Tensor:  # noqa: ARG002
        return torch.ones(len(statistics), dtype=torch.float64, device=statistics.device)


MODEL = Majority()
