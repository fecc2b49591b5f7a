"""Replacing the posteriors of locked challenges, and by how much their respondents' statistics must move for it.

Live grading, revisits, the publishing of a refit and the regrade of gold all go through here, and then through
`workers.standing` in the same transaction. What is published is stored beside the raw posterior and feeds nothing.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from consensus import concealment
from consensus.answers import Answers
from consensus.inference import Inference
from consensus.statistics import difference
from consensus.votes import pin
from db import consensus as consensus_rows
from db import verdicts as verdict_rows
from db.models.challenge import STATUSES
from db.models.verdict import CAUSES
from db.pieces import Pieces
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
    counts: Tensor
    """(C, K) `raw` of these challenges."""


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
    packed: Pieces | None = None,
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
        packed: all I challenges' answers as they are stored from now on; None: as they are.
    """
    part = _Part.of(scheme, locked, counted, changed, device)
    places = part.places
    known = standing.read(turn, scheme, locked.respondents, device)
    now = part.now & part.told
    heard = part.answers(now)
    found = concealment.infer(scheme.model, heard, known.veiled, scheme.prior, form=scheme.form)
    raw, posterior = found.posterior, found.published
    if fixed is not None:
        given = tensor(fixed.known[places], device)[:, None]
        raw = torch.where(given, tensor(fixed.raw[places], device), raw)
        posterior = torch.where(given, tensor(fixed.posterior[places], device), posterior)
    if inertia:
        near = ((raw - part.stored).abs_() <= inertia).all(1, keepdim=True)
        raw = torch.where(near, part.stored, raw)
    moved = np.ones(len(places), dtype=bool)
    if tolerance is not None:
        shown = tensor(locked.posterior[places], device)
        change = (raw - part.stored).abs().maximum((posterior - shown).abs())
        same = tensor(part.counted_as == part.gold, device)
        still = (change <= tolerance).all(1, keepdim=True) & same[:, None]
        raw, posterior = torch.where(still, part.stored, raw), torch.where(still, shown, posterior)
        moved = ~still.squeeze(1).cpu().numpy()
    final = np.zeros(len(places), dtype=bool) if fixed is None else fixed.known[places]
    table, shown_table = raw.cpu().numpy(), posterior.cpu().numpy()
    _write(turn, scheme, locked, part, moved, table, shown_table, final, cause, packed, device)
    move = _move(scheme, part, raw, everybody=fixed is not None)
    stored, result, written = locked.raw.copy(), locked.posterior.copy(), np.zeros(len(locked.ids), dtype=bool)
    stored[places], result[places], written[places] = table, shown_table, moved
    return Revised(stored, result, written, known, move, places, heard, part.rows[now], found, raw)


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


def repack(turn: Turn, locked: Locked, some: Bools, packed: Pieces) -> None:
    """Store other answers with some of the challenges, of which nothing else changes.

    Args:
        some: (I,)
        packed: the answers to all I challenges.
    """
    if some.any():
        pieces = packed[some]
        consensus_rows.repack(turn.writes, locked.ids[some], pieces)
        turn.recall.challenges.write(locked.places[some], packed=pieces)
        turn.challenges.append(locked.ids[some])


@dataclass(frozen=True, slots=True)
class _Part:
    """The challenges that get a new posterior, I of them, and the N answers to them that count or did so."""

    places: Ints
    """(I,) in `Locked.ids`."""
    stored: Tensor
    """(I, K) raw posteriors so far."""
    counted_as: Ints
    """(I,) as in `Locked`; so is `gold`."""
    gold: Ints
    item: Ints
    """(N,) places in `places`."""
    respondents: Ints
    """(J,) everybody who answered a locked challenge."""
    annotator: Ints
    """(N,) places in `respondents`."""
    choice: Ints
    label: Ints
    """(N,) canonical places, below 0 for skips."""
    told: Bools
    """(N,) which are no skips."""
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
        rows = np.flatnonzero(touched)
        choice = locked.answers.choice[rows]
        label = scheme.places(choice)
        return cls(
            places,
            tensor(locked.raw[places], device),
            locked.counted_as[places],
            locked.gold[places],
            (np.cumsum(changed) - 1)[locked.item[rows]],
            locked.respondents,
            locked.annotator[rows],
            choice,
            label,
            label >= 0,
            counted[rows],
            locked.answers.counted[rows],
            rows,
            scheme.classes,
            device,
        )

    @property
    def step(self) -> Ints:
        """(N,) 1 of those that did not count so far, -1 of those that do so no longer, else 0."""
        return self.now.astype(np.int64) - self.was

    def answers(self, told: Bools) -> Answers:
        """Some of the answers, no skips among them."""
        return Answers(
            tensor(self.item[told], self.device),
            tensor(self.annotator[told], self.device),
            tensor(self.label[told], self.device),
            len(self.places),
            len(self.respondents),
            self.classes,
        )

    def total(self, mask: Bools) -> Ints:
        """(I,) how many of the answers are so."""
        return np.bincount(self.item[mask], minlength=len(self.places))

    def by_respondent(self, mask: Bools) -> Ints:
        """(J,) how many more of these answers of each count than did so far."""
        if not mask.any():
            return np.zeros(len(self.respondents), dtype=np.int64)
        return np.bincount(self.annotator[mask], self.step[mask], minlength=len(self.respondents)).astype(np.int64)


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
    packed: Pieces | None,
    device: torch.device,
) -> None:
    """Store the moved ones' posteriors, their verdicts, and a version of those verdicts that have visibly changed."""
    answers, skips = part.total(part.now & part.told), part.total(part.now & ~part.told)
    judged = verdicts.judge(scheme, posterior, raw, answers, skips, device)
    places, gold = part.places, part.gold
    ids, was, told = locked.ids[places], locked.status[places], locked.answer[places]
    before, version = locked.reported[places], locked.version[places]
    anew = moved & (
        (version == 0)
        | (judged.answer != told)
        | (judged.status != was)
        | (np.abs(judged.confidence - before) >= scheme.rules.report_step)
    )
    version = version + anew
    reported = np.where(anew, judged.confidence, before)
    behind = turn.events
    turn.events += int(np.count_nonzero(anew))
    changed = part.total(part.now != part.was) > 0
    answer, coded = scheme.codes(judged.answer), scheme.coded_posteriors(posterior)
    some = slice(None) if moved.all() else moved
    pieces = None
    if packed is not None:
        written = np.zeros(len(locked.ids), dtype=bool)
        written[places[some]] = True
        pieces = packed[written]
    consensus_rows.write(
        turn.writes,
        ids[some],
        scheme.coded_posteriors(raw)[some],
        coded[some],
        confidence=judged.confidence[some],
        answer=answer[some],
        answers=answers[some],
        skips=skips[some],
        status=judged.status[some],
        version=version[some],
        position=np.where(anew, behind + np.cumsum(anew), 0)[some],
        reported=reported[some],
        gold=scheme.codes(gold)[some],
        changed=changed[some],
        final=final[some],
        run_id=scheme.run_id,
        packed=pieces,
    )
    kept = {
        "revision": locked.revision[places] + changed,
        "raw": raw,
        "posterior": posterior,
        "counted_as": gold,
        "answer": judged.answer,
        "status": judged.status,
        "version": version,
        "reported": reported,
    }
    remembered: dict[str, npt.NDArray[Any] | Pieces] = {name: column[some] for name, column in kept.items()}
    if pieces is not None:
        remembered["packed"] = pieces
    turn.recall.challenges.write(locked.places[places][some], **remembered)
    turn.challenges.append(ids[some])
    new = np.flatnonzero(anew)
    late = (was[new] != STATUSES.index("open")) & (cause == "answers")
    verdict_rows.append(
        turn.writes,
        turn.project_id,
        behind,
        verdict_rows.NewVersions(
            challenge_ids=ids[new],
            versions=version[new],
            answer=answer[new],
            posterior=coded[new],
            confidence=judged.confidence[new],
            status=judged.status[new],
            cause=np.where(late, CAUSES.index("late-answer"), CAUSES.index(cause)),
            answers=answers[new],
            skips=skips[new],
            digest=_digests(part)[new],
            answer_before=scheme.codes(told[new]),
            confidence_before=before[new],
            status_before=was[new],
        ),
        run_id=scheme.run_id,
        configuration_id=scheme.grading.configuration_id,
    )


def _digests(part: _Part) -> Ints:
    """(I,) of the answers that count from now on."""
    now = part.now
    who = part.respondents[part.annotator[now]]
    return verdicts.digest(part.item[now], who, part.choice[now], len(part.places))


def _move(scheme: Scheme, part: _Part, raw: Tensor, *, everybody: bool = False) -> Move:
    """The difference that new raw posteriors and other counted answers make to statistics.

    Args:
        everybody: who answered is to be seen under a new prior.
    """
    golden = bool((part.gold >= 0).any() or (part.counted_as >= 0).any())
    now, so_far = raw, part.stored
    differs = raw != part.stored
    if golden:
        now, so_far = pin(raw, tensor(part.gold, part.device)), pin(so_far, tensor(part.counted_as, part.device))
        differs |= now != so_far
    shifted = differs.any(1).cpu().numpy()
    step = part.step
    rows = part.told & (shifted[part.item] | (step != 0))
    answers, steps = part.answers(rows), tensor(step[rows], part.device)
    clamped = difference(scheme.form, answers, steps, now, so_far)
    open_ = difference(scheme.form, answers, steps, raw, part.stored) if golden else clamped
    seen = np.zeros(len(part.respondents), dtype=bool)
    if everybody:
        seen[part.annotator] = True
    return Move(clamped, open_, part.by_respondent(part.told), part.by_respondent(~part.told), seen)
