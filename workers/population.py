"""Learning what a project's crowd is like between refits: a fit of a sample, of which the prior alone is kept."""

import time

import numpy as np

from consensus import population
from consensus.answers import Answers
from db import answers as answer_rows
from db import populations, projects
from telemetry import crashpoints, logging
from workers import scheme
from workers.runtime import Runtime
from workers.scheme import tensor

log = logging.get(__name__)


def learn(runtime: Runtime, project_id: int) -> bool:
    """Learn anew if the answers have grown enough since the last fit or lesson; whether that was so.

    Grading goes on meanwhile: nothing is locked, and what is learned stands for no challenge and no respondent.
    """
    began = time.monotonic()
    with runtime.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        progress = populations.progress(connection, project_id)
        if not population.due(progress.answers, progress.known, idle=True):
            return False
        grading = projects.grading(connection, project_id)
        answers = answer_rows.of_challenges(connection, populations.sample(connection, project_id, population.SAMPLE))
    told = answers.counted & (answers.choice >= 0)
    if not told.any():
        return False
    plan = scheme.make(grading, runtime.device)
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
    prior = population.learn(plan.model, sample, form=plan.form)
    with runtime.engine.begin() as connection:
        populations.record(
            connection,
            project_id,
            progress,
            model=plan.model.name,
            model_version=plan.model.version,
            sample=sample.N,
            prior={"classes": plan.classes, "tensors": prior.to_json()},
        )
        crashpoints.reach("lesson-before-commit")
    log.info(
        "population learned", project=project_id, answers=progress.answers, seconds=round(time.monotonic() - began, 3)
    )
    return True
