"""Refits: fit a project's model cold to all its counted answers, and publish the result without losing live work."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from sqlalchemy import Connection

from consensus import caution, concealment
from consensus.answers import Answers
from consensus.caution import Caution
from consensus.concealment import Veiled
from consensus.digest import digest
from consensus.fit import Fit
from db import answers as answer_rows
from db import consensus as consensus_rows
from db import projects, runs, server
from db.errors import StaleClaimError
from db.projects import Grading
from db.runs import Outcome, RunClaim
from telemetry import crashpoints, logging, metrics
from workers import allowance, devices, gold_flags, lease, retries, revision, revisit, scheme, standing, turns
from workers.courtesy import courteously
from workers.locked import lock
from workers.runtime import NOTHING_LEFT, Runtime, WorkLeft
from workers.scheme import Scheme, tensor

log = logging.get(__name__)

CHUNK = 2000
"""Challenges published in one transaction."""
REST = 9
"""Times as long as a chunk took that a run nobody asked for waits before the next one, while answers come in: a chunk
takes the project's turn, and makes workers read again what they remembered of it."""

Ints = npt.NDArray[np.int64]


class RefitError(Exception):
    """The project cannot be refitted; the message says why and is kept with the run."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The input of a refit: the counted answers of a project at one instant, in canonical order."""

    grading: Grading
    answers: Answers
    challenge_ids: Ints
    """(I,) by the bytes of their keys."""
    respondent_ids: Ints
    """(J,) by the bytes of their keys."""
    revisions: Ints
    """(I,)"""
    names: dict[str, str]
    """SHA-256 over the keys of challenges and of respondents."""
    asked: tuple[Ints, Ints]
    """Answers and skips of every challenge, in no order that means anything."""
    server: Sequence[datetime]
    """Its incarnation: another one may have given these ids to others."""


def run(runtime: Runtime, project_id: int) -> WorkLeft:
    """Carry out the project's waiting model run, if there is one, none is running, and it was asked for or can be paid.

    Raises:
        Exception: whatever made the run fail; it is recorded with the run.
    """
    settings = runtime.settings
    with runtime.bounded() as connection:
        if not allowance.affords(connection, project_id, age=settings.refit_after):
            return WorkLeft(lessons=(project_id,))
        claim = runs.claim(connection, project_id, settings.stall)
        crashpoints.reach("refit-before-claim-commit")
    if claim is None:
        return NOTHING_LEFT
    crashpoints.reach("refit-claimed")
    with logging.bound(project=project_id, run=claim.id):
        try:
            with lease.kept(runtime.engine, partial(runs.renew, run=claim, lease=settings.stall), settings.stall):
                # From the snapshot on: what an open project has met since may be the reason to try again.
                retries.through_conflicts(partial(_refit, runtime, project_id, claim), limit=settings.refit_limit)
        except StaleClaimError as error:
            log.warning("model run lost", reason=str(error))
            return NOTHING_LEFT
        except SystemExit:  # the worker is told to end, and has waited for as long as it may
            with runtime.bounded() as connection:
                runs.give_back(connection, claim)
            raise
        except Exception as error:
            with runtime.bounded() as connection:
                runs.fail(connection, claim, retries.line(error))
                crashpoints.reach("failure-before-commit")
            raise
        retries.through_conflicts(partial(gold_flags.flag, runtime, project_id), limit=settings.refit_limit)
    with runtime.engine.connect() as connection:
        again = project_id in runs.waiting(connection)
    return WorkLeft(refits=(project_id,)) if again else NOTHING_LEFT


def _refit(runtime: Runtime, project_id: int, claim: RunClaim) -> None:
    began, meter = time.monotonic(), allowance.Meter()
    with runtime.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        snapshot = take(connection, project_id, runtime.device)
    if snapshot.answers.N == 0:
        raise RefitError("no answer of the project counts yet")
    plan = scheme.make(snapshot.grading, runtime.device)
    fit, learned = courteously(infer, plan, snapshot)
    fitted = time.monotonic()
    log.info("fitted", model=fit.model, answers=snapshot.answers.N, iterations=fit.iterations)
    kept = publish(runtime, snapshot, replace(plan, prior=fit.prior, run_id=claim.id, caution=learned), fit, claim)
    outcome = Outcome(
        model=fit.model,
        model_version=fit.version,
        build=devices.build(runtime.device),
        input_digest=_digest(snapshot, plan, fit),
        answers=snapshot.answers.N,
        challenges=snapshot.answers.I,
        respondents=snapshot.answers.J,
        iterations=fit.iterations,
        converged=fit.converged,
        prior={"classes": plan.classes, "tensors": fit.prior.to_json(), "caution": learned.to_json()},
        metrics={
            "objective": fit.objective[-1] if fit.objective else None,
            "shape": fit.shape,
            "reason": fit.reason,
            "mean_confidence": float(fit.confidence.mean()),
            "fit_seconds": round(fitted - began, 3),
            "publish_seconds": round(time.monotonic() - fitted, 3),
            "final": kept,
            "cost": meter.cost,
        },
    )
    with runtime.bounded() as connection:
        runs.finish(connection, claim, project_id, outcome)
        crashpoints.reach("refit-before-finish")
    crashpoints.reach("refit-finished")
    metrics.REFIT_SECONDS.labels(fit.model).observe(time.monotonic() - began)
    log.info("model run published", final=kept, challenges=snapshot.answers.I)


def take(connection: Connection, project_id: int, device: torch.device) -> Snapshot:
    """Read a project's counted answers; the connection must be at REPEATABLE READ."""
    grading = projects.grading(connection, project_id)
    challenge, respondent, choice = answer_rows.counted(connection, project_id)
    challenge_ids, challenge_names = _keys(connection, "challenges", project_id, challenge)
    respondent_ids, respondent_names = _keys(connection, "respondents", project_id, respondent)
    revisions = runs.revisions(connection, project_id)
    codes = sorted(range(len(grading.classes)), key=lambda code: grading.classes[code].encode())
    answers = Answers(
        tensor(_places(challenge_ids, challenge), device),
        tensor(_places(respondent_ids, respondent), device),
        tensor(np.argsort(codes)[choice] if codes else choice, device),
        len(challenge_ids),
        len(respondent_ids),
        max(len(codes), 1),
        _gold(connection, grading, challenge_ids, codes, device),
    )
    return Snapshot(
        grading,
        answers,
        challenge_ids,
        respondent_ids,
        np.array([revisions[challenge_id] for challenge_id in challenge_ids.tolist()], dtype=np.int64),
        {"challenges": challenge_names, "respondents": respondent_names},
        consensus_rows.asked(connection, project_id),
        server.incarnation(connection),
    )


def infer(plan: Scheme, snapshot: Snapshot) -> tuple[Fit, Caution]:
    """The fit, with posteriors that are unclamped: gold is clamped where it is counted; and what to stop by.

    With gold, what may show of it is found out by a second fit that knows of none (`consensus.concealment`).
    """
    answers, form = snapshot.answers, plan.form
    fit = plan.model.fit(answers, form=form)
    device = answers.device
    asked = tensor(snapshot.asked[0], device), tensor(snapshot.asked[1], device)
    learned = caution.learn(plan.model, answers, fit, form=form, asked=asked)
    if answers.gold is None:
        return fit, learned
    blind = plan.model.fit(replace(answers, gold=None), form=form)
    given = torch.bincount(answers.annotator, minlength=answers.J)
    statistics = Veiled(fit.statistics, blind.statistics, given >= plan.rules.score_answers)
    found = concealment.infer(plan.model, answers, statistics, fit.prior, form=form)
    return replace(fit, posterior=found.posterior, published=found.published), learned


def publish(runtime: Runtime, snapshot: Snapshot, after: Scheme, fit: Fit, claim: RunClaim) -> int:
    """Put the fit's posteriors in the place of the stored ones, in chunks, without losing what was graded meanwhile.

    A challenge whose answers changed since the snapshot is revised live by the scheme `after`, and stays provisional.

    Returns:
        How many challenges got a final posterior.
    """
    raw, posterior = fit.posterior.cpu().numpy(), fit.published.cpu().numpy()
    by_id = np.argsort(snapshot.challenge_ids)  # locks are taken in id order, also across chunks
    final = 0
    for start in range(0, len(by_id), CHUNK):
        chunk = by_id[start : start + CHUNK]
        began = time.monotonic()
        with turns.taken(runtime, after.grading.project_id) as turn:
            if runtime.server.incarnation != snapshot.server:
                raise retries.ForgottenError
            runs.renew(turn.connection, claim, runtime.settings.stall)
            locked = lock(turn, after, snapshot.challenge_ids[chunk])
            known = locked.revision == snapshot.revisions[chunk]
            revised = revision.revise(
                turn,
                after,
                locked,
                locked.answers.counted,
                np.ones(len(chunk), dtype=bool),
                runtime.device,
                "gold" if claim.cause == "gold" else "refit",
                revision.Fixed(raw[chunk], posterior[chunk], known),
            )
            standing.add(turn, after, revised.standing, revised.move, runtime.device)
            final += int(known.sum())
            crashpoints.reach("refit-before-chunk-commit")
        crashpoints.reach("refit-chunk-committed")
        if claim.cause != "requested" and revisit.hurried(runtime, after.grading.project_id):
            time.sleep(REST * (time.monotonic() - began))
    return final


def _gold(
    connection: Connection, grading: Grading, challenge_ids: Ints, codes: list[int], device: torch.device
) -> torch.Tensor | None:
    """(I,) canonical place of the known class, -1 where none is known; None without any gold."""
    known = consensus_rows.gold(connection, challenge_ids) if grading.has_gold else {}
    if not known:
        return None
    places = np.argsort(codes)
    return tensor(
        np.array([places[known[row]] if row in known else -1 for row in challenge_ids.tolist()], dtype=np.int64), device
    )


def _digest(snapshot: Snapshot, plan: Scheme, fit: Fit) -> str:
    """A name for everything the fit depended on."""
    classes = sorted(snapshot.grading.classes, key=str.encode)
    declared: dict[str, object] = {
        "model": fit.model,
        "version": fit.version,
        "form": plan.form.value,
        "classes": classes,
    }
    if snapshot.answers.gold is not None:
        declared["score_answers"] = plan.rules.score_answers
    return digest(snapshot.answers, {**declared, **snapshot.names})


def _keys(connection: Connection, table: str, project_id: int, used: Ints) -> tuple[Ints, str]:
    """Ids that are used, in the order of their keys' bytes, and the SHA-256 of those keys."""
    wanted = set(np.unique(used).tolist())
    sha = hashlib.sha256()
    ids: list[int] = []
    for row_id, key in runs.keys(connection, table, project_id):
        if row_id in wanted:
            ids.append(row_id)
            sha.update(key.encode() + b"\0")  # keys hold no NUL
    return np.array(ids, dtype=np.int64), sha.hexdigest()


def _places(ids: Ints, used: Ints) -> Ints:
    """Where in `ids` each of `used` stands."""
    order = np.argsort(ids)
    return order[np.searchsorted(ids[order], used)]
