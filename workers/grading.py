"""Live grading: one slice of claim -> load -> infer -> persist for a project and lane."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from sqlalchemy import Connection

from db import answers as answer_rows
from db import claims, failures, projects
from db.claims import Claim, ClaimedBatch
from telemetry import crashpoints, logging, metrics
from workers import faults, feed, intake, lease, repeats, revision, scheme, scores, standing, turns
from workers.locked import lock, packed
from workers.runtime import NOTHING_LEFT, Runtime, WorkLeft
from workers.turns import Turn

log = logging.get(__name__)

INERTIA = 0.02
"""Statistics go on counting a challenge as before while no raw probability is further off: most answers confirm what is
known of it. Revisits and refits make it good (docs/decisions/0007)."""


def run(runtime: Runtime, project_id: int, lane: str) -> WorkLeft:
    """Grade what waits for the project and lane, for one slice.

    Raises:
        faults.GradingFailedError: a batch could not be graded and was given back or is dead; the others are.
    """
    settings = runtime.settings
    deadline = time.monotonic() + settings.slice_ms / 1000
    failed: list[str] = []
    graded: list[uuid.UUID] = []
    more = False
    while time.monotonic() < deadline:
        with metrics.SLICE_SECONDS.labels(lane).time():
            claim = _claim(runtime, project_id, lane)
            if claim is None:
                metrics.CLAIMS.labels("empty").inc()
                break
            crashpoints.reach("grade-claimed")
            alive = lease.kept(runtime.engine, partial(claims.keep, claim=claim, lease=settings.lease), settings.lease)
            with logging.bound(claim=claim.id), alive:
                failed += faults.isolate(runtime, claim, partial(grade, runtime, project_id, claim))
            graded += [batch.uid for batch in claim.batches]
    else:
        with runtime.engine.connect() as connection:
            more = claims.due(connection, project_id, lane)
    if graded:
        feed.number(runtime, project_id)  # once for all claims: readers of the feed wait a slice at most
    if failed:
        raise faults.GradingFailedError(failed, _left(project_id, lane, graded, more=more))
    return _left(project_id, lane, graded, more=more)


def grade(
    runtime: Runtime,
    project_id: int,
    claim: Claim,
    batches: Sequence[ClaimedBatch],
    dead: Mapping[int, Mapping[int, str]],
    *,
    rehearse: bool = False,
) -> None:
    """Grade batches of a claim in one transaction, in the project's turn; decoding and naming run beside others'.

    Args:
        dead: by batch id, position and reason of answers to leave out and note as dead.
        rehearse: roll back at the end, to learn whether it would have worked.

    Raises:
        StaleClaimError: the claim ran out; nothing has changed.
    """
    with runtime.engine.connect() as connection:
        grading = projects.grading(connection, project_id)
        waiting = intake.decode(connection, batches)
    waiting = waiting.without({(batch, position) for batch, positions in dead.items() for position in positions})
    new = intake.resolve(runtime.engine, runtime.keys, grading, waiting)
    crashpoints.reach("grade-resolved")
    with (turns.rehearsed if rehearse else turns.taken)(runtime, project_id) as turn:
        _persist(runtime, turn, new)
        _finish(turn.connection, claim, batches, new.rejected, dead)
        crashpoints.reach("grade-before-commit")
    if rehearse:
        return
    crashpoints.reach("grade-committed")
    metrics.CLAIMS.labels("committed").inc()
    metrics.ANSWERS_GRADED.inc(len(new.columns.position))
    log.info("graded", project=project_id, batches=len(batches), answers=len(new.columns.position))


def _persist(runtime: Runtime, turn: Turn, new: intake.Intake) -> None:
    """Revise the touched challenges with the new answers, store the answers with their grades."""
    if not len(new.columns.position):
        return
    plan = scheme.make(new.grading, runtime.device)
    locked = lock(turn, plan, np.unique(new.columns.challenge_id), new.columns)
    answers = locked.answers
    stored = len(answers.position) - len(new.columns.position)
    counted = repeats.counted(
        new.grading.repeats,
        challenge=answers.challenge_id,
        respondent=answers.respondent_id,
        choice=answers.choice,
        answered_at=answers.answered_at,
        batch_id=answers.batch_id,
        position=answers.position,
    )
    changed = np.bincount(locked.item, counted != answers.counted, minlength=len(locked.ids)) > 0
    pieces = packed(locked, counted)
    revised = revision.revise(turn, plan, locked, counted, changed, runtime.device, inertia=INERTIA, packed=pieces)
    revision.repack(turn, locked.ids[~changed], pieces[~changed])  # all that is new to them is superseded
    flipped = np.flatnonzero(counted[:stored] != answers.counted[:stored])
    if len(flipped):
        answer_rows.recount(turn.connection, answers.batch_id[flipped], answers.position[flipped], counted[flipped])
    fresh = replace(new.columns, counted=counted[stored:])
    grades = revised.posterior[locked.item[stored:], plan.places(fresh.choice)]  # of a skip, nobody's: not stored
    answer_rows.append(
        turn.connection,
        fresh,
        accepted_at=new.accepted_at,
        grade=grades,
        duration_ms=new.duration_ms,
        sessions=new.sessions,
    )
    known = standing.add(turn, plan, revised.standing, revised.move, runtime.device)
    scores.give(
        turn.connection, plan, locked, counted, slice(stored, None), new.sessions, revised, known, runtime.device
    )


def _finish(
    connection: Connection,
    claim: Claim,
    batches: Sequence[ClaimedBatch],
    rejected: Mapping[int, Sequence[tuple[int, str]]],
    dead: Mapping[int, Mapping[int, str]],
) -> None:
    for batch in batches:
        failures.record(connection, batch.id, "rejected", rejected.get(batch.id, ()))
        failures.record(connection, batch.id, "dead", tuple(dead.get(batch.id, {}).items()))
    ids = [batch.id for batch in batches]
    claims.finish(connection, claim.id, ids, [len(rejected.get(batch_id, ())) for batch_id in ids])


def _claim(runtime: Runtime, project_id: int, lane: str) -> Claim | None:
    settings = runtime.settings
    with runtime.engine.begin() as connection:
        return claims.claim(
            connection,
            project_id,
            lane,
            batches=settings.claim_batches,
            answers=settings.claim_answers,
            lease=settings.lease,
        )


def _left(project_id: int, lane: str, graded: Sequence[uuid.UUID], *, more: bool) -> WorkLeft:
    if more:
        return WorkLeft(doors=((project_id, lane),), graded=tuple(graded))
    return WorkLeft(revisits=(project_id,), graded=tuple(graded)) if graded else NOTHING_LEFT
