"""Live grading: one slice of claim -> load -> infer -> persist for a project and lane."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np
import torch

from db import answers as answer_rows
from db import claims, failures, projects
from db.claims import Claim, ClaimedBatch
from db.projects import Grading
from telemetry import crashpoints, logging, metrics
from workers import faults, intake, repeats, revision, scores, standing, turns
from workers.ahead import Ahead, Ready
from workers.behind import Behind
from workers.distinct import distinct
from workers.intake import Intake
from workers.locked import expect, lock, packed, recognise
from workers.retries import ForgottenError
from workers.runtime import NOTHING_LEFT, Runtime, WorkLeft
from workers.turns import Foreseen, Turn

log = logging.get(__name__)

INERTIA = 0.05
"""Statistics go on counting a challenge as before while no raw probability is further off: most answers confirm what is
known of it. Revisits and refits make it good (docs/decisions/0007)."""

LARGE = 4000
"""Answers in a claim from which the next one is made while this one is worked out. Behind a smaller one it is made when
that is done: it takes along what has come meanwhile, and waits for nobody."""

MUCH = 1 << 14
"""Rows of a project that a worker remembers from which the project had better wait for it than be read by another."""

LONGEST = 0.6
"""Of the silence after which a worker counts as hung: so long is spent on one project in a row, at most, even if
nothing else waits. In a slice no pulse is shown; behind each the pipeline is empty."""


class Door(Protocol):
    """Where what waits for a project and lane is said to wait."""

    @property
    def closing(self) -> bool:
        """Whether this worker is to end soon: no slice is to become longer."""

    def stay(self, *, knowing: bool) -> None:
        """Somebody is at it, and will look once more after leaving: nobody needs to be called.

        Args:
            knowing: whoever is there knows so much of the project that others had better leave the door to them.
        """

    def leave(self) -> None:
        """From now on somebody has to be called again."""

    def tell(self, graded: Sequence[uuid.UUID]) -> None:
        """These batches are done with."""


def run(runtime: Runtime, project_id: int, lane: str, door: Door | None = None) -> WorkLeft:
    """Grade what waits for the project and lane, for one slice; for longer while nothing else waits.

    Args:
        door: told what happens, batch by batch; without it the batches are in what is returned.

    Raises:
        faults.GradingFailedError: a batch could not be graded and was given back or is dead; the others are.
    """
    return _Slice(runtime, project_id, lane, door).run()


class _Slice:
    """Three claims are under way at a time: one is made ready, one is worked out, one is stored."""

    def __init__(self, runtime: Runtime, project_id: int, lane: str, door: Door | None) -> None:
        self._runtime = runtime
        self._project_id = project_id
        self._lane = lane
        self._door = door
        self._knowing = self._much
        self._graded: list[uuid.UUID] = []
        self._redoing: Claim | None = None
        self._wary = False
        """Whether the claim in hand was claimed in vain before: it may be what kills its worker, and none beside it."""
        self._ahead = Ahead(runtime, project_id, lane)
        self._behind = Behind(runtime.behind, self._store, self._redo, self._ahead.give_back)
        self._length = runtime.settings.slice_ms / 1000
        began = time.monotonic()
        self._last = began + LONGEST * runtime.settings.stall
        self._deadline = began + self._length

    def run(self) -> WorkLeft:
        """As the function."""
        self._stay()
        if self._much:  # a flood goes on: its first claims here are to be no smaller than the last ones were
            self._ahead.alone = self._alone()
        try:
            worked, failed = self._work()
        except BaseException:
            self._runtime.memory.of(self._project_id).forget()  # what was foreseen may not have been stored
            raise
        left = self._left(worked=worked)
        if failed:
            raise faults.GradingFailedError(failed, left)
        return left

    def _work(self) -> tuple[bool, list[str]]:
        """Whether there was anything to do, and a line for each batch that could not be graded."""
        failed: list[str] = []
        worked = False
        with self._ahead as ahead, self._behind as behind:
            while not worked or ahead.waiting or self._goes_on():
                with metrics.SLICE_SECONDS.labels(self._lane).time():
                    ready = ahead.take()
                    if ready is None:
                        failed += behind.settle()  # by then something may have come
                        ready = ahead.take()
                    if ready is None:
                        metrics.CLAIMS.labels("empty").inc()
                        break
                    worked = True
                    self._knowing = self._much
                    self._wary = any(batch.attempts > 1 for batch in ready.claim.batches)
                    if self._wary:
                        failed += behind.settle()
                    large = ready.intake is not None and len(ready.intake.columns.position) >= LARGE
                    meanwhile = self._meanwhile if large else None
                    work = partial(foresee, self._runtime, self._project_id, ready, meanwhile)
                    try:
                        failed += behind.store(ready, work)
                    except BaseException:
                        if self._redoing is not ready.claim:  # then it was tried
                            ahead.give_back(ready)
                        raise
                    if self._wary:
                        failed += behind.settle()
                        self._wary = False
                    self._meanwhile()
            failed += behind.settle()
        return worked, failed

    def _goes_on(self) -> bool:
        """Whether the slice is not over."""
        now = time.monotonic()
        if self._deadline <= now < self._last and not self._closing:
            self._ahead.alone = self._alone()
            if self._ahead.alone:
                self._deadline = now + self._length
        return now < self._deadline

    @property
    def _closing(self) -> bool:
        """Whether this worker is to end soon."""
        return self._door is not None and self._door.closing

    @property
    def _much(self) -> bool:
        """Whether this process knows much of the project."""
        return len(self._runtime.memory.of(self._project_id)) >= MUCH

    def _alone(self) -> bool:
        """Whether nothing waits elsewhere."""
        with self._runtime.engine.begin() as connection:
            return not claims.elsewhere(connection, self._project_id, self._lane)

    def _meanwhile(self) -> None:
        if not self._wary:
            self._ahead.start(self._goes_on)

    def _store(self, ready: Ready, foreseen: Foreseen, before: Foreseen | None) -> None:
        foreseen.store(partial(crashpoints.reach, "grade-before-commit"), before)
        if ready.intake is not None:
            _note(self._project_id, ready.claim.batches, ready.intake)
        self._done(ready.claim)

    def _redo(self, ready: Ready) -> list[str]:
        self._redoing = ready.claim
        with logging.bound(claim=ready.claim.id):
            work = partial(
                grade, self._runtime, self._project_id, ready.claim, ready=ready.intake, meanwhile=self._meanwhile
            )
            failed = faults.isolate(self._runtime, ready.claim, work)
        self._done(ready.claim)
        self._redoing = None
        return failed

    def _done(self, claim: Claim) -> None:
        """In the thread that has stored it, which is alone in talking to the door until the claim is settled."""
        self._ahead.done(claim)
        tried = [batch.uid for batch in claim.batches]
        if self._door is None:
            self._graded += tried
        else:
            self._door.tell(tried)
        self._stay()

    def _stay(self) -> None:
        if self._door is not None:
            self._door.stay(knowing=self._knowing)

    def _left(self, *, worked: bool) -> WorkLeft:
        """Who must be called for what waits now; nobody if another worker is at it, who will look for itself."""
        engine, place, graded = self._runtime.engine, (self._project_id, self._lane), tuple(self._graded)
        with engine.begin() as connection:
            if claims.held(connection, *place):
                return WorkLeft(graded=graded)
            if worked and claims.due(connection, *place) and not claims.elsewhere(connection, *place):
                return WorkLeft(doors=(place,), staying=True, graded=graded)  # the door is not left
        if self._door is not None:
            self._door.leave()
        with engine.begin() as connection:  # whoever has not rung, as the door was not left yet, has committed
            if claims.due(connection, *place):
                return WorkLeft(doors=(place,), graded=graded)
        return WorkLeft(revisits=(self._project_id,), graded=graded) if worked else NOTHING_LEFT


def grade(
    runtime: Runtime,
    project_id: int,
    claim: Claim,
    batches: Sequence[ClaimedBatch],
    dead: Mapping[int, Mapping[int, str]],
    *,
    rehearse: bool = False,
    ready: Intake | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Grade batches of a claim in one transaction, in the project's turn; decoding and naming run beside others'.

    Args:
        dead: by batch id, position and reason of answers to leave out and note as dead.
        rehearse: roll back at the end, to learn whether it would have worked.
        ready: the answers of the whole claim, decoded and named.
        meanwhile: called when most of what is left to do is Postgres's.

    Raises:
        StaleClaimError: the claim ran out; nothing has changed.
    """
    if ready is not None and batches is claim.batches and ready.epoch == runtime.server.epoch and not dead:
        new = ready
    else:
        with runtime.engine.begin() as connection:
            grading = projects.grading(connection, project_id)
        left_out = {(batch, position) for batch, positions in dead.items() for position in positions}
        new = intake.take(runtime, grading, batches, left_out)
    with (turns.rehearsed if rehearse else turns.taken)(runtime, project_id) as turn:
        if new.epoch != runtime.server.epoch:
            raise ForgottenError
        grading = projects.grading(turn.connection, project_id)  # the classes that others have met, too
        _persist(runtime, turn, grading, new, meanwhile)
        _finish(turn, claim, batches, new.rejected, dead)
        crashpoints.reach("grade-before-commit")
    if rehearse:
        return
    _note(project_id, batches, new)


def foresee(
    runtime: Runtime,
    project_id: int,
    ready: Ready,
    meanwhile: Callable[[], None] | None = None,
    begin: Callable[[Foreseen], None] | None = None,
) -> Foreseen | None:
    """Grade a claim as if the turn behind the last one were taken; None if that cannot be done, for whatever reason.

    Args:
        meanwhile: as of `grade`.
        begin: called when the turn may be stored while it is worked out.
    """
    new = ready.intake
    if new is None:
        return None
    try:
        with turns.foreseen(runtime, project_id) as foreseen:
            if foreseen is None:
                return None
            if new.epoch != runtime.server.epoch:
                raise ForgottenError
            recall = foreseen.turn.recall
            plan = recall.scheme(new.grading, runtime.device)
            if not recall.suits(plan):
                return None  # what the turn before has moved, which is being stored, would be forgotten
            if begin is not None:
                begin(foreseen)
            if runtime.memory.alone_since(project_id, ready.moment):
                expect(foreseen.turn, new.new_challenges, new.new_respondents)
                if new.rows is not None:
                    recognise(foreseen.turn, plan, new.rows)
            _persist(runtime, foreseen.turn, new.grading, new, meanwhile)
            _finish(foreseen.turn, ready.claim, ready.claim.batches, new.rejected, {})
    except Exception as error:  # noqa: BLE001 - whatever it is, grading in turn comes upon it and deals with it
        log.info("not foreseen", claim=ready.claim.id, error=repr(error))
        return None
    return foreseen


def _note(project_id: int, batches: Sequence[ClaimedBatch], new: Intake) -> None:
    """Say that these are graded; it is committed."""
    crashpoints.reach("grade-committed")
    metrics.CLAIMS.labels("committed").inc()
    metrics.ANSWERS_GRADED.inc(len(new.columns.position))
    log.info("graded", project=project_id, batches=len(batches), answers=len(new.columns.position))


@torch.inference_mode()
def _persist(runtime: Runtime, turn: Turn, grading: Grading, new: Intake, meanwhile: Callable[[], None] | None) -> None:
    """Revise the touched challenges with the new answers, store the answers with their grades."""
    if not len(new.columns.position):
        return
    plan = turn.recall.scheme(grading, runtime.device)
    standing.adopt(turn)
    locked = lock(turn, plan, distinct(new.columns.challenge_id), new.columns)
    answers = locked.answers
    stored = len(answers.position) - len(new.columns.position)
    counted = repeats.counted(
        grading.repeats,
        challenge=answers.challenge_id,
        respondent=answers.respondent_id,
        choice=answers.choice,
        answered_at=answers.answered_at,
        batch_id=answers.batch_id,
        position=answers.position,
    )
    changed = np.bincount(locked.item, counted != answers.counted, minlength=len(locked.ids)) > 0
    pieces = packed(locked, counted)
    if meanwhile is not None:
        meanwhile()
    revised = revision.revise(turn, plan, locked, counted, changed, runtime.device, inertia=INERTIA, packed=pieces)
    revision.repack(turn, locked, ~changed, pieces)  # all that is new to them is superseded
    flipped = np.flatnonzero(counted[:stored] != answers.counted[:stored])
    if len(flipped):
        answer_rows.recount(turn.writes, answers.batch_id[flipped], answers.position[flipped], counted[flipped])
    fresh = replace(new.columns, counted=counted[stored:])
    grades = revised.posterior[locked.item[stored:], plan.places(fresh.choice)]  # of a skip, nobody's: not stored
    answer_rows.append(
        turn.writes,
        fresh,
        accepted_at=new.accepted_at,
        grade=grades,
        duration_ms=new.duration_ms,
        sessions=new.sessions,
    )
    after = standing.after(plan, revised.standing, revised.move, runtime.device)
    sittings = scores.sittings(plan, locked, slice(stored, None), new.sessions, revised, after, runtime.device)
    reached = standing.keep(turn, after, revised.move)
    pressed = turn.recall.respondents.pressed  # where one who is owed has been forgotten, all debts must be read
    owes = len(reached) >= runtime.settings.debts_from and not pressed
    if owes:
        standing.owe(turn, plan, after, revised.move, reached)
    due = standing.due(turn, plan, turn.debts.pace(len(reached), hurried=pressed))
    written = standing.read(turn, plan, due if owes else distinct(due, after.ids[reached]), runtime.device)
    skill, before = standing.skill(plan, written.veiled.clamped, sittings.statistics)
    standing.write(turn, plan, written, skill)
    scores.give(turn.writes, sittings, before)


def _finish(
    turn: Turn,
    claim: Claim,
    batches: Sequence[ClaimedBatch],
    rejected: Mapping[int, Sequence[tuple[int, str]]],
    dead: Mapping[int, Mapping[int, str]],
) -> None:
    for batch in batches:
        for state, answers in (("rejected", rejected.get(batch.id)), ("dead", tuple(dead.get(batch.id, {}).items()))):
            if answers:
                failures.record(turn.writes, batch.id, state, answers)
    ids = [batch.id for batch in batches]
    claims.finish(turn.writes, claim.id, ids, [len(rejected.get(batch_id, ())) for batch_id in ids])
    turn.writes.settle()
