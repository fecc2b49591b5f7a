"""How sure a project's verdicts must be taken to be, and its respondents' skips: what its stop rule goes by.

Raw posteriors are tempered (`tempering`) by what a partial fit fails to foresee (`foresight`); with gold, that is where
the tempering of what is known to be gold starts from (`replay`). Skips have the project's own rates (`skipping`).
"""

import json
from dataclasses import asdict, dataclass

from torch import Tensor

from consensus import foresight, replay, skipping, tempering
from consensus.answers import Answers
from consensus.fit import Fit
from consensus.form import Form
from consensus.model import Model
from consensus.skipping import Skipping
from consensus.stopping import Rule, Stop, stop
from consensus.tempering import Tempering

USUAL = Tempering()


@dataclass(frozen=True, slots=True)
class Caution:
    """Learned with a fit, and used until the next."""

    tempering: Tempering = USUAL
    skipping: Skipping = skipping.USUAL

    def stop(self, raw: Tensor, answers: Tensor, rule: Rule, skips: Tensor | None = None) -> Stop:
        """The status of challenges with raw posteriors (I, K) after (I,) answers; see `stopping.stop`."""
        return stop(self.tempering.apply(raw, answers), answers, rule, skips, self.skipping)

    def to_json(self) -> str:
        """Every bit survives :meth:`from_json`."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Caution":
        parts = json.loads(text)
        return cls(Tempering(**parts["tempering"]), Skipping(**parts["skipping"]))


def learn(
    model: Model,
    answers: Answers,
    fit: Fit,
    *,
    form: Form,
    asked: tuple[Tensor, Tensor] | None = None,
) -> Caution:
    """What a fit of these answers, gold clamped, calls for. It costs at most a fit of `foresight.SAMPLE` answers.

    Args:
        asked: the counts of answers and of skips of the project's challenges.
    """
    states = foresight.prefixes(model, answers, form=form)
    found = tempering.learn(states.posterior, states.answers, states.likelihood, states.weight)
    if answers.gold is not None and bool((answers.gold >= 0).any()):
        gold = replay.prefixes(model, answers, fit.statistics, fit.prior, form=form)
        found = tempering.learn(gold.posterior, gold.answers, gold.likelihood, gold.weight, usual=found)
    return Caution(found, skipping.USUAL if asked is None else skipping.learn(*asked))
