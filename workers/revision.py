"""Replacing the posteriors of locked challenges, and moving their respondents' statistics by exactly the difference.

The invariant at every commit: S_j is the sum over the stored raw posteriors of j's counted answers. Live grading and
the publishing of a refit both go through here, so there is one place that could break it. What is published is stored
beside the raw posterior and feeds nothing.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from sqlalchemy import Connection

from consensus.answers import Answers
from consensus.fit import TIE
from consensus.statistics import count
from db import answers as answer_rows
from db import consensus as consensus_rows
from db import statistics as statistics_rows
from db.answers import AnswerColumns
from workers.scheme import Scheme, tensor

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Locked:
    """Challenges whose locks this transaction holds, with everything that is known of them."""

    ids: Ints
    """(I,) challenges, ascending."""
    revisions: Ints
    """(I,)"""
    raw: Floats
    """(I, K) what statistics hold, in canonical order."""
    posterior: Floats
    """(I, K) what is published, in canonical order."""
    answers: AnswerColumns
    """All answers to these challenges."""

    @property
    def item(self) -> Ints:
        """(N,) place of each answer's challenge in `ids`."""
        return np.searchsorted(self.ids, self.answers.challenge_id)


def lock(connection: Connection, scheme: Scheme, challenge_ids: Ints) -> Locked:
    """Lock challenges in id order, then read their answers: nobody can add one until this transaction ends."""
    rows = consensus_rows.lock(connection, challenge_ids.tolist())
    return Locked(
        rows.ids,
        rows.revisions,
        scheme.posteriors(rows.raw),
        scheme.posteriors(rows.posteriors),
        answer_rows.of_challenges(connection, rows.ids),
    )


@dataclass(frozen=True, slots=True)
class Fixed:
    """Posteriors that a refit found; where there is none, the challenge is revised live."""

    raw: Floats
    """(I, K) in canonical order; so is the other."""
    posterior: Floats
    known: Bools
    """(I,)"""


@dataclass(frozen=True, slots=True)
class Revised:
    """What became of locked challenges."""

    posterior: Floats
    """(I, K) what is published from now on, in canonical order."""
    moved: Bools
    """(I,) which were written."""


def revise(
    connection: Connection,
    scheme: Scheme,
    locked: Locked,
    counted: Bools,
    changed: Bools,
    device: torch.device,
    fixed: Fixed | None = None,
    tolerance: float | None = None,
) -> Revised:
    """Give the changed ones among the locked challenges new posteriors, and write everything that follows from them.

    Args:
        counted: (N,) which of `locked.answers` count from now on; `locked.answers.counted` says which did so far.
        changed: (I,) which challenges get a new posterior.
        fixed: posteriors to take instead of live ones.
        tolerance: leave challenges alone of which no probability moves by more; for those whose answers are the same.
    """
    changed_ids = np.flatnonzero(changed)
    touched = changed[locked.item] & (counted | locked.answers.counted)
    respondents, annotator = np.unique(locked.answers.respondent_id[touched], return_inverse=True)
    item = np.searchsorted(changed_ids, locked.item[touched])
    label = scheme.place[locked.answers.choice[touched]]
    after_mask, before_mask = counted[touched], locked.answers.counted[touched]

    def subset(mask: Bools) -> Answers:
        return Answers(
            tensor(item[mask], device),
            tensor(annotator[mask], device),
            tensor(label[mask], device),
            len(changed_ids),
            len(respondents),
            scheme.classes,
        )

    before, after = subset(before_mask), subset(after_mask)
    stored = tensor(locked.raw[changed_ids], device)
    current = statistics_rows.read(connection, respondents.tolist())
    seen = tensor(scheme.statistics(current.packed), device)
    found = scheme.model.infer(after, seen, scheme.prior, form=scheme.form)
    raw, posterior = found.posterior, found.published
    if fixed is not None:
        known = tensor(fixed.known[changed_ids], device)[:, None]
        raw = torch.where(known, tensor(fixed.raw[changed_ids], device), raw)
        posterior = torch.where(known, tensor(fixed.posterior[changed_ids], device), posterior)
    moved = np.ones(len(changed_ids), dtype=bool)
    if tolerance is not None:
        shown = tensor(locked.posterior[changed_ids], device)
        change = (raw - stored).abs().maximum((posterior - shown).abs())
        still = (change <= tolerance).all(1, keepdim=True)
        raw, posterior = torch.where(still, stored, raw), torch.where(still, shown, posterior)
        moved = ~still.squeeze(1).cpu().numpy()
    difference = count(scheme.form, after, raw) - count(scheme.form, before, stored)
    table = posterior.cpu().numpy()

    consensus_rows.write(
        connection,
        locked.ids[changed_ids][moved],
        scheme.coded_posteriors(raw.cpu().numpy())[moved],
        scheme.coded_posteriors(table)[moved],
        confidence=table.max(1)[moved],
        answer=scheme.order[(table >= table.max(1, keepdims=True) - TIE).argmax(1)][moved],
        answers=np.bincount(item[after_mask], minlength=len(changed_ids))[moved],
        changed=_differs(item, after_mask != before_mask, len(changed_ids))[moved],
        final=(np.zeros(len(changed_ids), dtype=bool) if fixed is None else fixed.known[changed_ids])[moved],
        run_id=scheme.run_id,
    )
    more = np.bincount(annotator, after_mask.astype(np.int64) - before_mask, minlength=len(respondents))
    reached = np.bincount(annotator, moved[item], minlength=len(respondents)) > 0
    _move(
        connection,
        scheme,
        respondents[reached],
        difference.cpu().numpy()[reached],
        more[reached].astype(np.int64),
        device,
    )
    result, written = locked.posterior.copy(), np.zeros(len(locked.ids), dtype=bool)
    result[changed_ids], written[changed_ids] = table, moved
    return Revised(result, written)


def _move(
    connection: Connection, scheme: Scheme, respondents: Ints, difference: Floats, change: Ints, device: torch.device
) -> None:
    """Add to statistics under their locks: others may have moved them since they were read to grade with."""
    held = statistics_rows.read(connection, respondents.tolist(), lock=True)
    statistics = scheme.statistics(held.packed) + difference
    reliability = scheme.model.reliability(tensor(statistics, device), scheme.prior, form=scheme.form)
    statistics_rows.write(
        connection,
        held.ids,
        scheme.coded_statistics(statistics),
        change=change,
        accuracy=reliability.accuracy.cpu().numpy(),
        low=reliability.low.cpu().numpy(),
        high=reliability.high.cpu().numpy(),
    )


def extend(locked: Locked, new: AnswerColumns) -> Locked:
    """The locked challenges with answers added that are not stored yet."""
    old = locked.answers
    joined = AnswerColumns(
        *(np.concatenate([getattr(old, name), getattr(new, name)]) for name in AnswerColumns.__slots__)
    )
    return replace(locked, answers=joined)


def _differs(item: Ints, different: Bools, items: int) -> Bools:
    return np.bincount(item[different], minlength=items) > 0
