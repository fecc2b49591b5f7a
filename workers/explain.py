"""Explaining the verdict on one challenge, in the words of whoever may ask.

Respondents are seen as grading sees them, those of few answers without what gold says of them; gold itself is explained
like everything else. So an explanation tells no more of gold than the verdict that it explains.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from consensus import explanation
from consensus.answers import Answers
from consensus.concealment import Veiled
from consensus.explanation import Explanation
from db import answers as answer_rows
from db import explanations, projects
from db.columns import Lists
from db.explanations import Published
from workers import scheme, standing
from workers.runtime import Runtime
from workers.scheme import Scheme, tensor

Ints = npt.NDArray[np.int64]

Document = dict[str, Any]

LISTED = 1000
"""Answers that an explanation names, those that say most; likewise the answers and respondents that would flip it."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A verdict with all that it was made of, as one moment saw it."""

    scheme: Scheme
    published: Published
    annotator: Ints
    """(N,) who gave each of the counted answers: places in what follows, which is in the order of keys; ascending."""
    label: Ints
    """(N,) canonical places of the classes, -1 of skips."""
    respondents: tuple[str, ...]
    """(J,)"""
    statistics: Veiled
    scored: npt.NDArray[np.bool_]
    """(J,) whose reliability every reader may know."""

    def explain(self, device: torch.device) -> Explanation | None:
        """The account of what is published; its answers are those that are no skips."""
        told = self.label >= 0
        answers = Answers(
            tensor(np.zeros(int(told.sum()), dtype=np.int64), device),
            tensor(self.annotator[told], device),
            tensor(self.label[told], device),
            1,
            len(self.respondents),
            self.scheme.classes,
        )
        return explanation.explain(
            self.scheme.model,
            answers,
            self.statistics.seen,
            self.scheme.prior,
            form=self.scheme.form,
            published=tensor(self.scheme.posteriors(Lists.of([self.published.posterior]))[0], device),
        )


def run(runtime: Runtime, project_id: int, challenge_id: int, *, gold: bool, listed: int = LISTED) -> Document | None:
    """Explain the verdict on a challenge; None if there is none.

    Args:
        gold: whoever asks may know what gold says, and so every respondent's reliability.
        listed: how many answers are named at most; all others are one term.
    """
    case = read(runtime, project_id, challenge_id)
    return None if case is None else _document(case, case.explain(runtime.device), gold=gold, listed=listed)


def read(runtime: Runtime, project_id: int, challenge_id: int) -> Case | None:
    """What the verdict on a challenge is made of; None if there is none. Nothing is locked."""
    with runtime.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        published = explanations.published(connection, project_id, challenge_id)
        if published is None:
            return None
        plan = scheme.make(projects.grading(connection, project_id), runtime.device)
        stored = answer_rows.of_challenges(connection, np.array([challenge_id]))
        names = explanations.names(connection, np.unique(stored.respondent_id[stored.counted]).tolist())
        held = standing.look(connection, plan, project_id, np.array(list(names), dtype=np.int64))
    ids = np.array(list(names), dtype=np.int64)
    by_key = np.argsort(ids).argsort()  # places in `held`, which is in the order of ids
    place = {respondent: number for number, respondent in enumerate(names)}
    annotator = np.array([place[respondent] for respondent in stored.respondent_id[stored.counted].tolist()])
    label = plan.places(stored.choice[stored.counted])
    order = np.lexsort((label, annotator))
    veiled = held.veiled(plan, runtime.device)
    rows = tensor(by_key, runtime.device)
    return Case(
        plan,
        published,
        annotator[order],
        label[order],
        tuple(names.values()),
        Veiled(veiled.clamped[rows], veiled.open[rows], veiled.many[rows]),
        (held.answers >= plan.rules.score_answers)[by_key],
    )


def _document(case: Case, found: Explanation | None, *, gold: bool, listed: int) -> Document:
    published, keys = case.published, case.scheme.keys
    verdict = {
        "challenge": published.challenge,
        "answer": None if published.answer is None else case.scheme.grading.classes[published.answer],
        "version": published.version,
        "final": published.final,
        "model": case.scheme.model.name,
        "model_run": published.model_run,
    }
    if found is None:
        return verdict | {"winner": keys[0], **_answers(case, None, gold=gold, listed=listed)}
    chosen, owners = found.fewest_answers, found.fewest_annotators
    told = np.flatnonzero(case.label >= 0)
    return verdict | {
        "winner": keys[found.winner],
        "runner_up": keys[found.rival],
        "scale": found.scale.value,
        "total": found.total,
        "prior": found.prior,
        **_answers(case, found, gold=gold, listed=listed),
        "steps": [asdict(step) for step in found.steps],
        "fewest_answers": None
        if chosen is None
        else [_answer(case, place) for place in told[chosen.cpu().numpy()][:listed]],
        "fewest_answers_count": None if chosen is None else len(chosen),
        "fewest_respondents": None
        if owners is None
        else [case.respondents[place] for place in owners[:listed].tolist()],
        "fewest_respondents_count": None if owners is None else len(owners),
        "exact": found.exact,
    }


def _answers(case: Case, found: Explanation | None, *, gold: bool, listed: int) -> Document:
    """The answers that say most, by respondent, and what all others say together."""
    contribution = np.zeros(len(case.annotator))
    if found is not None:
        contribution[case.label >= 0] = found.answers.cpu().numpy()
    ranked = np.argsort(-np.abs(contribution), kind="stable")
    most, others = np.sort(ranked[:listed]), ranked[listed:]
    return {
        "answers": [
            _answer(case, place)
            | {
                "contribution": float(contribution[place]),
                "reliability": _reliability(case, found, case.annotator[place], gold=gold),
            }
            for place in most
        ],
        "others": {"answers": len(others), "contribution": math.fsum(contribution[others])} if len(others) else None,
    }


def _answer(case: Case, place: int) -> Document:
    label = case.label[place]
    return {
        "respondent": case.respondents[case.annotator[place]],
        "answer": None if label < 0 else case.scheme.keys[label],
    }


def _reliability(case: Case, found: Explanation | None, annotator: int, *, gold: bool) -> Document | None:
    if found is None or not (gold or case.scored[annotator]):
        return None
    of = found.reliability
    return {
        "accuracy": float(of.accuracy[annotator]),
        "interval": [float(of.low[annotator]), float(of.high[annotator])],
    }
