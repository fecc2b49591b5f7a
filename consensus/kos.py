"""KOS: belief propagation in its simplest form, for two classes.

Karger, Oh & Shah (2011), "Iterative learning for reliable crowdsourcing systems", algorithm 1. With A_n = ±1 for the
two labels, every answer n carries a message to its item and one to its annotator,

    x_n = Σ_{n' of the same item, n' ≠ n} A_n' y_n'            what the item's other answers say of its class
    y_n = Σ_{n' of the same annotator, n' ≠ n} A_n' x_n'       what the annotator's other answers say of him

and the class of item i is the sign of Σ_{n of i} A_n y_n. It is a power iteration: messages are brought to a root mean
square of 1 each time, and `Fit.residuals` is the largest change of a y in an iteration. They start at 1, the mean of
the paper's Normal(1, 1): at random they would depend on how answers are numbered. Gold items say ±1. After 100
iterations it ends in any case: among few answers that contradict one another in a circle messages turn for ever.

The posterior is the share of a class in Σ_n |y_n|, an answer with y_n < 0 counting for the other class: its order is
that of the paper, but it is not a probability. Where the messages say nothing, as on an item whose respondents
answered nothing else, it is the share of the votes.

Live, y_n = 2 c_j - n_j + A - B: the same sum over expected counts, that of the item itself included, with the
population's pseudo-answers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from consensus.account import Account
from consensus.answers import Answers
from consensus.edges import Edges, connect
from consensus.errors import TooManyClassesError
from consensus.fit import Fit
from consensus.form import Form, form_for
from consensus.layout import arrange
from consensus.prior import Prior
from consensus.segment import block_sum
from consensus.statistics import coin, quantise
from consensus.votes import shares
from consensus.voting import Voting, even_prior

BLOCK = 10
LIMIT = 100
TOLERANCE = 1e-6
NOTHING = 1e-200


@dataclass(frozen=True, slots=True)
class Kos(Voting):
    """Prior: `coin` (2,), as in :mod:`consensus.one_coin`. More than two classes are a TooManyClassesError."""

    name: str = "kos"
    version: str = "1"

    def prior(self, K: int, form: Form) -> Prior:  # noqa: ARG002 - the same for both
        self._check(K)
        return even_prior(K)

    def fit(self, answers: Answers, *, form: Form | None = None) -> Fit:
        self._check(answers.K)
        form = form or form_for(answers.K)
        edges = connect(answers)
        sign = 2 * edges.label.to(torch.float64) - 1
        known = None if answers.gold is None else answers.gold[edges.item]
        message = torch.ones_like(sign)
        residuals: list[float] = []
        converged = False
        while not converged and len(residuals) < LIMIT:
            changes = []
            for _ in range(BLOCK):
                previous = message
                belief = _scaled(_others(edges.by_item.sum((sign * message)[:, None]), edges.item, sign * message))
                if known is not None:
                    belief = torch.where(known >= 0, 2 * known.to(torch.float64) - 1, belief)
                message = _scaled(
                    _others(edges.by_annotator.sum((sign * belief)[:, None]), edges.annotator, sign * belief)
                )
                changes.append(pad((message - previous).abs(), (0, 1)).amax())
            residuals += torch.stack(changes).tolist()
            converged = residuals[-1] <= TOLERANCE
        posterior = _weighed(answers, edges, message)
        return self.counted(
            answers, form, posterior, iterations=len(residuals), converged=converged, residuals=tuple(residuals)
        )

    def update(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Tensor:
        self._check(answers.K)
        edges = connect(answers)
        return quantise(_weighed(answers, edges, self.weigh(statistics, prior, form)[edges.annotator]))

    def account(self, answers: Answers, statistics: Tensor, prior: Prior, *, form: Form) -> Account:
        self._check(answers.K)
        return Voting.account(self, answers, statistics, prior, form=form)

    def weigh(self, statistics: Tensor, prior: Prior, form: Form) -> Tensor:
        """(J,) y of an annotator's next answer."""
        known = coin(form, prior["classes"].numel(), statistics)
        A, B = prior["coin"]
        return 2 * known[:, 0] - known[:, 1:].sum(1) + A - B

    def _check(self, K: int) -> None:
        if K > 2:
            raise TooManyClassesError(self.name, K)


def _others(sums: Tensor, owner: Tensor, own: Tensor) -> Tensor:
    """(N,) the sum (S, 1) of the owner without the answer's own part."""
    return sums.squeeze(1)[owner] - own


def _scaled(message: Tensor) -> Tensor:
    """(N,) with a root mean square of 1, or zeros if all are."""
    size = (block_sum(message.square()[:, None]).squeeze() / max(message.numel(), 1)).sqrt()
    return message / torch.where(size > NOTHING, size, 1)


def _weighed(answers: Answers, edges: Edges, message: Tensor) -> Tensor:
    """(I, K) the share of each class in the messages (N,), gold clamped."""
    I, K = answers.I, answers.K
    votes = shares(arrange(answers, Form.COIN))
    if K == 1:
        return votes
    direct = edges.by_vote.sum(torch.stack([message.clamp(min=0), (-message).clamp(min=0)], 1)).reshape(I, K, 2)
    weight = direct[:, :, 0] + direct[:, :, 1].flip(1)
    total = weight.sum(1, keepdim=True)
    keep = total <= NOTHING if answers.gold is None else (total <= NOTHING) | (answers.gold[:, None] >= 0)
    return torch.where(keep, votes, weight / torch.where(keep, 1, total))


MODEL = Kos()
