"""Learning what a project's crowd is like between refits: a fit of a sample, of which the prior alone is kept."""

import time

import numpy as np
from sqlalchemy import Connection

from consensus import population
from consensus.answers import Answers
from db import answers as answer_rows
from db import populations, projects, transactions
from db.populations import Progress
from telemetry import crashpoints, logging
from workers import allowance, scheme
from workers.courtesy import courteously, resting
from workers.runtime import Runtime
from workers.scheme import tensor

log = logging.get(__name__)

ADVISORY_LOCK = 0x6C65 << 48
"""Plus the project's id."""
REST = 4
"""Times as long as it has computed that a lesson rests while answers come in."""


def wait(runtime: Runtime, project_id: int) -> float | None:
    """Seconds until a lesson may be had, or until it is worth asking again; None: nothing new is to be learned."""
    with runtime.engine.begin() as connection:
        progress = populations.progress(connection, project_id)
        if _due(runtime, connection, project_id, progress):
            return 0.0
        return allowance.QUIET if population.due(progress.answers, progress.known, idle=True) else None


def learn(runtime: Runtime, project_id: int) -> bool:
    """Learn anew if that is due and nobody else is at it; whether that was so.

    Grading goes on meanwhile: no row is locked, and what is learned stands for no challenge and no respondent. Nor is a
    snapshot held: while one is, no version of a row can be cleared away that somebody has updated since, and under a
    flood each row's page is full of them within seconds.
    """
    with transactions.begun(runtime.engine, transactions.bounds(idle=runtime.settings.refit_limit)) as connection:
        return transactions.alone(connection, ADVISORY_LOCK + project_id) and _learn(runtime, connection, project_id)


def _due(runtime: Runtime, connection: Connection, project_id: int, progress: Progress) -> bool:
    """The first lesson from enough answers to tell anything comes whatever it costs; others are paid for."""
    idle = allowance.idle(connection, project_id)
    if not population.due(progress.answers, progress.known, idle=idle):
        return False
    first = progress.known < runtime.settings.refit_minimum <= progress.answers
    cost = allowance.ANSWER * min(progress.answers, population.SAMPLE)
    return idle or first or allowance.permits(connection, cost)


def _learn(runtime: Runtime, connection: Connection, project_id: int) -> bool:
    began, meter = time.monotonic(), allowance.Meter()
    progress = populations.progress(connection, project_id)
    if not _due(runtime, connection, project_id, progress):
        return False
    answers = answer_rows.of_challenges(connection, populations.sample(connection, project_id, population.SAMPLE))
    told = answers.counted & (answers.choice >= 0)
    if not told.any():
        return False
    plan = scheme.make(projects.grading(connection, project_id), runtime.device)
    challenges, item = np.unique(answers.challenge_id[told], return_inverse=True)
    respondents, annotator = np.unique(answers.respondent_id[told], return_inverse=True)
    sample = Answers(
        tensor(item, runtime.device),
        tensor(annotator, runtime.device),
        tensor(plan.place[answers.choice[told]], runtime.device),
        len(challenges),
        len(respondents),
        plan.classes,
    )
    fit = population.learn if allowance.idle(connection, project_id) else resting(population.learn, REST)
    transactions.let_go(connection)
    prior = courteously(fit, plan.model, sample, form=plan.form)
    kept = {} if plan.caution is None else {"caution": plan.caution.to_json()}  # a lesson learns no other
    populations.record(
        connection,
        project_id,
        progress,
        model=plan.model.name,
        model_version=plan.model.version,
        sample=sample.N,
        prior={"classes": plan.classes, "tensors": prior.to_json(), "cost": meter.cost} | kept,
    )
    crashpoints.reach("lesson-before-commit")
    log.info(
        "population learned",
        project=project_id,
        answers=progress.answers,
        seconds=round(time.monotonic() - began, 3),
        cost=meter.cost,
    )
    return True
