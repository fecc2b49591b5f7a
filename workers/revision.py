"""Replacing the posteriors of locked challenges, and by how much their respondents' statistics must move for it.

Live grading, revisits, the publishing of a refit and the regrade of gold all go through here, and then through
`standing.add` in the same transaction. What is published is stored beside the raw posterior and feeds nothing.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from consensus import concealment
from consensus.answers import Answers
from consensus.form import Form
from consensus.inference import Inference
from consensus.statistics import count, count_
from consensus.votes import pin
from db import consensus as consensus_rows
from db import verdicts as verdict_rows
from db.models.challenge import STATUSES
from db.models.verdict import CAUSES
from workers import standing, verdicts
from workers.locked import Locked
from workers.scheme import Scheme, tensor
from workers.standing import Move, Standing
from workers.turns import Turn

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

Cause = Literal["answers", "refit", "gold"]


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
    standing: Standing
    """Of everybody who answered them, as it was read."""
    move: Move
    """What must be added to it before this transaction ends."""
    places: Ints
    """(C,) in canonical order, of the challenges that were inferred anew."""
    heard: Answers
    """(M,) the answers that they were inferred from, and where these stand in `Locked.answers`."""
    rows: Ints
    found: Inference


def revise(
    turn: Turn,
    scheme: Scheme,
    locked: Locked,
    counted: Bools,
    changed: Bools,
    device: torch.device,
    cause: Cause = "answers",
    fixed: Fixed | None = None,
    tolerance: float | None = None,
    inertia: float = 0.0,
    packed: npt.NDArray[np.object_] | None = None,
) -> Revised:
    """Give the changed ones among the locked challenges new posteriors, and write them, their verdicts and versions.

    Args:
        counted: (N,) which of `locked.answers` count from now on; `locked.answers.counted` says which did so far.
        changed: (I,) which challenges get a new posterior.
        cause: of the versions of verdicts that come of it.
        fixed: posteriors to take instead of live ones.
        tolerance: leave challenges alone of which no probability moves by more; for those whose answers are the same.
        inertia: let statistics go on counting what is stored of a challenge while no raw probability is further off.
            What is published follows the answers in any case.
        packed: (I,) the challenges' answers as they are stored from now on; None: as they are.
    """
    part = _Part.of(scheme, locked, counted, changed, device)
    places = part.places
    known = standing.read(turn, scheme, locked.respondents, device)
    heard = part.answers(part.now)
    found = concealment.infer(scheme.model, heard, known.veiled, scheme.prior, form=scheme.form)
    raw, posterior = found.posterior, found.published
    if fixed is not None:
        given = tensor(fixed.known[places], device)[:, None]
        raw = torch.where(given, tensor(fixed.raw[places], device), raw)
        posterior = torch.where(given, tensor(fixed.posterior[places], device), posterior)
    if inertia:
        near = ((raw - part.stored).abs() <= inertia).all(1, keepdim=True)
        raw = torch.where(near, part.stored, raw)
    moved = np.ones(len(places), dtype=bool)
    if tolerance is not None:
        shown = tensor(locked.posterior[places], device)
        change = (raw - part.stored).abs().maximum((posterior - shown).abs())
        still = (change <= tolerance).all(1, keepdim=True) & (part.counted_as == part.gold)[:, None]
        raw, posterior = torch.where(still, part.stored, raw), torch.where(still, shown, posterior)
        moved = ~still.squeeze(1).cpu().numpy()
    final = np.zeros(len(places), dtype=bool) if fixed is None else fixed.known[places]
    table, shown_table = raw.cpu().numpy(), posterior.cpu().numpy()
    _write(turn, scheme, locked, part, moved, table, shown_table, final, cause, packed, device)
    move = _move(scheme, part, raw, everybody=fixed is not None)
    stored, result, written = locked.raw.copy(), locked.posterior.copy(), np.zeros(len(locked.ids), dtype=bool)
    stored[places], result[places], written[places] = table, shown_table, moved
    return Revised(stored, result, written, known, move, places, heard, part.rows[part.now & part.told], found)


def follow_gold(turn: Turn, scheme: Scheme, locked: Locked, device: torch.device) -> None:
    """Let statistics count the locked challenges as their gold says from now on; the rows' `gold` is the caller's.

    What is published of these challenges stays as it is, with its time, run and version: whoever saw it move would know
    that they are gold.
    """
    part = _Part.of(scheme, locked, locked.answers.counted, locked.counted_as != locked.gold, device)
    if part.now.any():
        known = standing.read(turn, scheme, locked.respondents, device)
        standing.add(turn, scheme, known, _move(scheme, part, part.stored), device)
    turn.recall.challenges.write(locked.places, counted_as=locked.gold)
    turn.challenges.append(locked.ids)


def repack(turn: Turn, locked: Locked, some: Bools, packed: npt.NDArray[np.object_]) -> None:
    """Store other answers with some of the challenges, of which nothing else changes.

    Args:
        some: (I,)
        packed: (I,) bytes.
    """
    consensus_rows.repack(turn.writes, locked.ids[some], packed[some])
    turn.recall.challenges.write(locked.places[some], packed=packed[some])
    turn.challenges.append(locked.ids[some])


@dataclass(frozen=True, slots=True)
class _Part:
    """The challenges that get a new posterior, I of them, and the N answers to them that count or did so."""

    places: Ints
    """(I,) in `Locked.ids`."""
    stored: Tensor
    """(I, K) raw posteriors so far."""
    counted_as: Tensor
    """(I,) as in `Locked`; so is `gold`."""
    gold: Tensor
    item: Ints
    """(N,) places in `places`."""
    respondents: Ints
    """(J,) everybody who answered a locked challenge."""
    annotator: Ints
    """(N,) places in `respondents`."""
    choice: Ints
    label: Ints
    """(N,) canonical places, below 0 for skips."""
    now: Bools
    """(N,) which count from now on."""
    was: Bools
    """(N,) which did so far."""
    rows: Ints
    """(N,) places in `Locked.answers`."""
    classes: int
    device: torch.device

    @classmethod
    def of(cls, scheme: Scheme, locked: Locked, counted: Bools, changed: Bools, device: torch.device) -> "_Part":
        places = np.flatnonzero(changed)
        touched = changed[locked.item] & (counted | locked.answers.counted)
        choice = locked.answers.choice[touched]
        return cls(
            places,
            tensor(locked.raw[places], device),
            tensor(locked.counted_as[places], device),
            tensor(locked.gold[places], device),
            (np.cumsum(changed) - 1)[locked.item[touched]],
            locked.respondents,
            locked.annotator[touched],
            choice,
            scheme.places(choice),
            counted[touched],
            locked.answers.counted[touched],
            np.flatnonzero(touched),
            scheme.classes,
            device,
        )

    @property
    def told(self) -> Bools:
        """(N,) which are no skips."""
        return self.label >= 0

    def answers(self, mask: Bools) -> Answers:
        """Some of the answers, without skips."""
        chosen = mask & self.told
        return Answers(
            tensor(self.item[chosen], self.device),
            tensor(self.annotator[chosen], self.device),
            tensor(self.label[chosen], self.device),
            len(self.places),
            len(self.respondents),
            self.classes,
        )

    def total(self, mask: Bools) -> Ints:
        """(I,) how many of the answers are so."""
        return np.bincount(self.item[mask], minlength=len(self.places))

    def by_respondent(self, mask: Bools) -> Ints:
        """(J,) how many more of these answers of each count than did so far."""
        steps = self.now.astype(np.int64) - self.was
        return np.bincount(self.annotator[mask], steps[mask], minlength=len(self.respondents)).astype(np.int64)


def _write(
    turn: Turn,
    scheme: Scheme,
    locked: Locked,
    part: _Part,
    moved: Bools,
    raw: Floats,
    posterior: Floats,
    final: Bools,
    cause: Cause,
    packed: npt.NDArray[np.object_] | None,
    device: torch.device,
) -> None:
    """Store the moved ones' posteriors, their verdicts, and a version of those verdicts that have visibly changed."""
    answers, skips = part.total(part.now & part.told), part.total(part.now & ~part.told)
    judged = verdicts.judge(scheme, posterior, raw, answers, skips, device)
    places = part.places
    was = locked.status[places]
    before, version = locked.reported[places], locked.version[places]
    anew = moved & (
        (version == 0)
        | (judged.answer != locked.answer[places])
        | (judged.status != was)
        | (np.abs(judged.confidence - before) >= scheme.rules.report_step)
    )
    version = version + anew
    reported = np.where(anew, judged.confidence, before)
    behind = turn.events
    turn.events += int(anew.sum())
    changed = part.total(part.now != part.was) > 0
    pieces = None if packed is None else packed[places][moved]
    consensus_rows.write(
        turn.writes,
        locked.ids[places][moved],
        scheme.coded_posteriors(raw)[moved],
        scheme.coded_posteriors(posterior)[moved],
        confidence=judged.confidence[moved],
        answer=scheme.codes(judged.answer)[moved],
        answers=answers[moved],
        skips=skips[moved],
        status=judged.status[moved],
        version=version[moved],
        position=np.where(anew, behind + np.cumsum(anew), 0)[moved],
        reported=reported[moved],
        gold=scheme.codes(locked.gold[places])[moved],
        changed=changed[moved],
        final=final[moved],
        run_id=scheme.run_id,
        packed=pieces,
    )
    shelf = turn.recall.challenges
    kept = {
        "revision": locked.revision[places] + changed,
        "raw": raw,
        "posterior": posterior,
        "counted_as": locked.gold[places],
        "answer": judged.answer,
        "status": judged.status,
        "version": version,
        "reported": reported,
    }
    written = locked.places[places][moved]
    shelf.write(written, **{name: column[moved] for name, column in kept.items()})
    if pieces is not None:
        shelf.write(written, packed=pieces)
    turn.challenges.append(locked.ids[places][moved])
    late = (was != STATUSES.index("open")) & (cause == "answers")
    who = part.respondents[part.annotator[part.now]]
    digests = verdicts.digest(part.item[part.now], who, part.choice[part.now], len(places))
    verdict_rows.append(
        turn.writes,
        turn.project_id,
        behind,
        verdict_rows.NewVersions(
            challenge_ids=locked.ids[places][anew],
            versions=version[anew],
            answer=scheme.codes(judged.answer)[anew],
            posterior=scheme.coded_posteriors(posterior)[anew],
            confidence=judged.confidence[anew],
            status=judged.status[anew],
            cause=np.where(late, CAUSES.index("late-answer"), CAUSES.index(cause))[anew],
            answers=answers[anew],
            skips=skips[anew],
            digest=digests[anew],
            answer_before=scheme.codes(locked.answer[places])[anew],
            confidence_before=before[anew],
            status_before=was[anew],
        ),
        run_id=scheme.run_id,
        configuration_id=scheme.grading.configuration_id,
    )


def _move(scheme: Scheme, part: _Part, raw: Tensor, *, everybody: bool = False) -> Move:
    """The difference that new raw posteriors and other counted answers make to statistics.

    Args:
        everybody: who answered is to be seen under a new prior.
    """
    now, so_far = pin(raw, part.gold), pin(part.stored, part.counted_as)
    shifted = ((now != so_far) | (raw != part.stored)).any(1).cpu().numpy()
    both, fresh, gone = part.now & part.was & shifted[part.item], part.now & ~part.was, part.was & ~part.now
    stays, comes, goes = part.answers(both), part.answers(fresh), part.answers(gone)

    def change(new: Tensor, old: Tensor) -> Tensor:  # all others add what they take away
        moved = count(scheme.form, comes, new) - count(scheme.form, goes, old)
        if scheme.form == Form.FULL:
            return count_(moved, scheme.form, stays, new - old)
        return moved + count(scheme.form, stays, new) - count(scheme.form, stays, old)

    clamped = change(now, so_far)
    golden = bool((part.gold >= 0).any()) or bool((part.counted_as >= 0).any())
    open_ = change(raw, part.stored) if golden else clamped
    seen = np.bincount(part.annotator, minlength=len(part.respondents)) > 0
    return Move(clamped, open_, part.by_respondent(part.told), part.by_respondent(~part.told), seen & everybody)
