"""Replacing the posteriors of locked challenges, and moving their respondents' statistics by exactly the difference.

The invariant at every commit: S_j is the sum, over j's counted answers, of what the challenge is counted as: the stored
raw posterior, or for gold the class that it is known to be. Live grading, the publishing of a refit and the regrade
of gold all go through here, so there is one place that could break it. What is published is stored beside the raw
posterior and feeds nothing.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from sqlalchemy import Connection
from torch import Tensor

from consensus import concealment
from consensus.answers import Answers
from consensus.concealment import Veiled
from consensus.statistics import count
from consensus.votes import pin
from db import answers as answer_rows
from db import consensus as consensus_rows
from db import statistics as statistics_rows
from db import verdicts as verdict_rows
from db.answers import AnswerColumns
from db.statistics import Counts
from workers import verdicts
from workers.scheme import Scheme, tensor

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Locked:
    """Challenges whose locks this transaction holds, with everything that is known of them."""

    ids: Ints
    """(I,) challenges, ascending."""
    revisions: Ints
    """(I,)"""
    raw: Floats
    """(I, K) what the answers say, in canonical order."""
    posterior: Floats
    """(I, K) what is published, in canonical order."""
    counted_as: Ints
    """(I,) canonical place of the class that statistics count gold as, -1 where they count the raw posterior."""
    gold: Ints
    """(I,) what they are to count from now on."""
    answer: Ints
    """(I,) canonical place, -1 for none."""
    status: Words
    version: Ints
    reported: Floats
    """(I,) confidence of the version, NaN before the first."""
    answers: AnswerColumns
    """All answers to these challenges, skips among them."""

    @property
    def item(self) -> Ints:
        """(N,) place of each answer's challenge in `ids`."""
        return np.searchsorted(self.ids, self.answers.challenge_id)


def lock(connection: Connection, scheme: Scheme, challenge_ids: Ints) -> Locked:
    """Lock challenges in id order, then read their answers: nobody can add one until this transaction ends."""
    rows = consensus_rows.lock(connection, challenge_ids)
    may_be_gold = scheme.grading.has_gold or bool((rows.gold >= 0).any())  # the first may have come since
    known = consensus_rows.gold(connection, rows.ids) if may_be_gold else {}
    return Locked(
        rows.ids,
        rows.revisions,
        scheme.posteriors(rows.raw),
        scheme.posteriors(rows.posteriors),
        scheme.places(rows.gold),
        scheme.places(np.array([known.get(row, -1) for row in rows.ids.tolist()], dtype=np.int64)),
        scheme.places(rows.answer),
        rows.status,
        rows.version,
        rows.reported,
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

    raw: Floats
    """(I, K) what statistics count from now on where there is no gold, in canonical order."""
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
    cause: str = "answers",
    fixed: Fixed | None = None,
    tolerance: float | None = None,
    inertia: float = 0.0,
) -> Revised:
    """Give the changed ones among the locked challenges new posteriors, and write everything that follows from them.

    Args:
        counted: (N,) which of `locked.answers` count from now on; `locked.answers.counted` says which did so far.
        changed: (I,) which challenges get a new posterior.
        cause: of the versions of verdicts that come of it.
        fixed: posteriors to take instead of live ones.
        tolerance: leave challenges alone of which no probability moves by more; for those whose answers are the same.
        inertia: let statistics go on counting what is stored of a challenge while no raw probability is further off.
            What is published follows the answers in any case.
    """
    work = _Work.of(connection, scheme, locked, counted, changed, device)
    found = concealment.infer(scheme.model, work.after, work.statistics, scheme.prior, form=scheme.form)
    raw, posterior = found.posterior, found.published
    if fixed is not None:
        known = tensor(fixed.known[work.places], device)[:, None]
        raw = torch.where(known, tensor(fixed.raw[work.places], device), raw)
        posterior = torch.where(known, tensor(fixed.posterior[work.places], device), posterior)
    if inertia:
        near = ((raw - work.stored).abs() <= inertia).all(1, keepdim=True)
        raw = torch.where(near, work.stored, raw)
    moved = np.ones(len(work.places), dtype=bool)
    if tolerance is not None:
        shown = tensor(locked.posterior[work.places], device)
        change = (raw - work.stored).abs().maximum((posterior - shown).abs())
        still = (change <= tolerance).all(1, keepdim=True) & (work.counted_as == work.gold)[:, None]
        raw, posterior = torch.where(still, work.stored, raw), torch.where(still, shown, posterior)
        moved = ~still.squeeze(1).cpu().numpy()
    table = posterior.cpu().numpy()
    final = np.zeros(len(work.places), dtype=bool) if fixed is None else fixed.known[work.places]
    _write(connection, scheme, locked, work, moved, raw.cpu().numpy(), table, final, cause, device)
    _move(connection, scheme, work, raw, device, everybody=fixed is not None)
    stored, result, written = locked.raw.copy(), locked.posterior.copy(), np.zeros(len(locked.ids), dtype=bool)
    stored[work.places], result[work.places], written[work.places] = raw.cpu().numpy(), table, moved
    return Revised(stored, result, written)


def follow_gold(connection: Connection, scheme: Scheme, locked: Locked, device: torch.device) -> None:
    """Let statistics count the locked challenges as their gold says from now on; `consensus.gold` is the caller's.

    What is published of these challenges stays as it is, with its time, run and version: whoever saw it move would know
    that they are gold.
    """
    changed = locked.counted_as != locked.gold
    work = _Work.of(connection, scheme, locked, locked.answers.counted, changed, device)
    if work.now.any():
        _move(connection, scheme, work, work.stored, device)


@dataclass(frozen=True, slots=True)
class _Work:
    """The challenges that get a new posterior, I of them, and the J respondents who answered them."""

    places: Ints
    """(I,) in `Locked.ids`."""
    respondents: Ints
    """(J,) ids, ascending."""
    item: Ints
    """(N,) of every answer that counts or did so, skips among them; so are the next three."""
    annotator: Ints
    choice: Ints
    now: Bools
    """Which count from now on."""
    was: Bools
    """Which did so far."""
    before: Answers
    after: Answers
    stored: Tensor
    """(I, K) raw posteriors so far."""
    counted_as: Tensor
    """(I,) as in `Locked`."""
    gold: Tensor
    statistics: Veiled

    @classmethod
    def of(
        cls,
        connection: Connection,
        scheme: Scheme,
        locked: Locked,
        counted: Bools,
        changed: Bools,
        device: torch.device,
    ) -> "_Work":
        places = np.flatnonzero(changed)
        touched = changed[locked.item] & (counted | locked.answers.counted)
        respondents, annotator = np.unique(locked.answers.respondent_id[touched], return_inverse=True)
        item = np.searchsorted(places, locked.item[touched])
        choice = locked.answers.choice[touched]
        label = scheme.places(choice)
        now, was = counted[touched], locked.answers.counted[touched]
        gold, counted_as = tensor(locked.gold[places], device), tensor(locked.counted_as[places], device)

        def subset(mask: Bools) -> Answers:
            told = mask & (label >= 0)
            return Answers(
                tensor(item[told], device),
                tensor(annotator[told], device),
                tensor(label[told], device),
                len(places),
                len(respondents),
                scheme.classes,
            )

        return cls(
            places,
            respondents,
            item,
            annotator,
            choice,
            now,
            was,
            subset(was),
            subset(now),
            tensor(locked.raw[places], device),
            counted_as,
            gold,
            veiled(scheme, statistics_rows.read(connection, respondents), device),
        )

    def total(self, mask: Bools) -> Ints:
        """(I,) how many of the answers are so."""
        return np.bincount(self.item[mask], minlength=len(self.places))

    def by_respondent(self, weight: npt.NDArray[np.int64]) -> Ints:
        """(J,) sums over the answers of each."""
        return np.bincount(self.annotator, weight, minlength=len(self.respondents)).astype(np.int64)


def veiled(scheme: Scheme, held: Counts, device: torch.device) -> Veiled:
    """Statistics as they were read, with and without what gold says."""
    clamped = tensor(scheme.statistics(held.packed), device)
    if not held.gold.by_length:
        return Veiled(clamped, clamped, tensor(np.ones(len(held.ids), dtype=bool), device))
    return Veiled(
        clamped,
        clamped - tensor(scheme.statistics(held.gold), device),
        tensor(held.answers >= scheme.rules.score_answers, device),
    )


def _write(
    connection: Connection,
    scheme: Scheme,
    locked: Locked,
    work: _Work,
    moved: Bools,
    raw: Floats,
    posterior: Floats,
    final: Bools,
    cause: str,
    device: torch.device,
) -> None:
    """Store the moved ones' posteriors, their verdicts, and a version of those verdicts that have visibly changed."""
    told = work.choice >= 0
    answers, skips = work.total(work.now & told), work.total(work.now & ~told)
    judged = verdicts.judge(scheme, posterior, raw, answers, skips, device)
    places = work.places
    was = locked.status[places]
    reported, version = locked.reported[places], locked.version[places]
    anew = moved & (
        (version == 0)
        | (judged.answer != locked.answer[places])
        | (judged.status != was)
        | (np.abs(judged.confidence - reported) >= scheme.rules.report_step)
    )
    version = version + anew
    reported = np.where(anew, judged.confidence, reported)
    consensus_rows.write(
        connection,
        locked.ids[places][moved],
        scheme.coded_posteriors(raw)[moved],
        scheme.coded_posteriors(posterior)[moved],
        confidence=judged.confidence[moved],
        answer=scheme.codes(judged.answer)[moved],
        answers=answers[moved],
        skips=skips[moved],
        status=judged.status[moved],
        version=version[moved],
        reported=reported[moved],
        gold=scheme.codes(locked.gold[places])[moved],
        changed=(work.total(work.now != work.was) > 0)[moved],
        final=final[moved],
        run_id=scheme.run_id,
    )
    late = (was != "open") & (cause == "answers")
    who = work.respondents[work.annotator[work.now]]
    digests = verdicts.digest(work.item[work.now], who, work.choice[work.now], len(places))
    verdict_rows.append(
        connection,
        scheme.grading.project_id,
        verdict_rows.NewVersions(
            challenge_ids=locked.ids[places][anew],
            versions=version[anew],
            answer=scheme.codes(judged.answer)[anew],
            posterior=scheme.coded_posteriors(posterior)[anew],
            confidence=judged.confidence[anew],
            status=judged.status[anew],
            cause=np.where(late, "late-answer", cause)[anew],
            answers=answers[anew],
            skips=skips[anew],
            digest=digests[anew],
        ),
        run_id=scheme.run_id,
        configuration_id=scheme.grading.configuration_id,
    )


def _move(
    connection: Connection, scheme: Scheme, work: _Work, raw: Tensor, device: torch.device, *, everybody: bool = False
) -> None:
    """Add to statistics under their locks: others may have moved them since they were read to grade with.

    Rows to which nothing is added are left alone, unless `everybody` is to be seen under a new prior.
    """
    told = work.choice >= 0
    steps = work.now.astype(np.int64) - work.was
    change, skips = work.by_respondent(steps * told), work.by_respondent(steps * ~told)
    moves = count(scheme.form, work.after, pin(raw, work.gold)) - count(
        scheme.form, work.before, pin(work.stored, work.counted_as)
    )
    clamped, veil = moves.cpu().numpy(), _veil(scheme, work, raw, moves)
    reached = (change != 0) | (skips != 0) | (clamped != 0).any(1) | (veil != 0).any(1) | everybody
    held = statistics_rows.read(connection, work.respondents[reached], lock=True)
    statistics = scheme.statistics(held.packed) + clamped[reached]
    reliability = scheme.model.reliability(tensor(statistics, device), scheme.prior, form=scheme.form)
    statistics_rows.write(
        connection,
        held.ids,
        scheme.coded_statistics(statistics),
        scheme.coded_statistics(scheme.statistics(held.gold) + veil[reached]),
        change=change[reached],
        skips=skips[reached],
        accuracy=reliability.accuracy.cpu().numpy(),
        low=reliability.low.cpu().numpy(),
        high=reliability.high.cpu().numpy(),
    )


def _veil(scheme: Scheme, work: _Work, raw: Tensor, clamped: Tensor) -> Floats:
    """(J, width) what gold adds to statistics that move by `clamped`."""
    if not (bool((work.gold >= 0).any()) or bool((work.counted_as >= 0).any())):
        return np.zeros(tuple(clamped.shape))
    open_ = count(scheme.form, work.after, raw) - count(scheme.form, work.before, work.stored)
    return (clamped - open_).cpu().numpy()


def extend(locked: Locked, new: AnswerColumns) -> Locked:
    """The locked challenges with answers added that are not stored yet."""
    old = locked.answers
    joined = AnswerColumns(
        *(np.concatenate([getattr(old, name), getattr(new, name)]) for name in AnswerColumns.__slots__)
    )
    return replace(locked, answers=joined)
