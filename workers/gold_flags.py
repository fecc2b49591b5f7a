"""Flagging gold: how likely it is that a label is wrong, or that respondents know it, and which, from elsewhere."""

import numpy as np

from consensus import gold as flags
from consensus.answers import Answers
from consensus.gold import Gold
from db import answers as answer_rows
from db import gold as gold_rows
from db import gold_holders, groups, projects, server
from telemetry import crashpoints, logging
from workers import retries, scheme, standing
from workers.runtime import Runtime
from workers.scheme import tensor

log = logging.get(__name__)

_HIGHEST = 700.0
"""Log odds above which a double holds no odds."""
_LEAST = 0.1
"""Odds below which nobody is noted as a holder: most respondents are none."""


def flag(runtime: Runtime, project_id: int) -> None:
    """Note the odds of all gold that statistics count and that has answers, and who seems to know it from elsewhere.

    Raises:
        ForgottenError: the server may have given the ids that were read to others; nothing is noted.
    """
    with runtime.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        incarnation = server.incarnation(connection)
        challenge_ids, codes = gold_rows.active(connection, project_id)
        grading = projects.grading(connection, project_id)
        stored = answer_rows.of_challenges(connection, challenge_ids)
        told = stored.counted & (stored.choice >= 0)
        answered, item = np.unique(stored.challenge_id[told], return_inverse=True)
        respondents, annotator = np.unique(stored.respondent_id[told], return_inverse=True)
        group_ids, members, group = groups.members(connection, project_id)
        if len(answered):
            plan = scheme.make(grading, runtime.device)
            held = standing.look(connection, plan, project_id, respondents)
    if not len(answered):
        with runtime.bounded() as connection:
            gold_holders.replace(connection, project_id, [], [])
        return
    answers = Answers(
        tensor(item, runtime.device),
        tensor(annotator, runtime.device),
        tensor(plan.places(stored.choice[told]), runtime.device),
        len(answered),
        len(respondents),
        plan.classes,
        tensor(plan.places(codes[np.searchsorted(challenge_ids, answered)]), runtime.device),
    )
    statistics = tensor(held.clamped, runtime.device)
    found = flags.flag(Gold(plan.model, answers, statistics, plan.prior, plan.form))
    of_group = np.full(len(respondents), -1)
    here = np.isin(members, respondents)
    of_group[np.searchsorted(respondents, members[here])] = group[here]
    sharing = flags.together(found.holders, tensor(of_group, runtime.device), len(group_ids))
    bad, leaked, holding, shared = (
        column.clamp(-_HIGHEST, _HIGHEST).exp().cpu()
        for column in (found.mislabelled, found.leaked, found.holders, sharing)
    )
    holders = (holding >= _LEAST).numpy()
    with runtime.bounded() as connection:
        if server.incarnation(connection) != incarnation:
            raise retries.ForgottenError
        gold_rows.flag(connection, answered.tolist(), bad.tolist(), leaked.tolist())
        gold_holders.replace(connection, project_id, respondents[holders].tolist(), holding.numpy()[holders].tolist())
        groups.suspect(connection, group_ids, shared.tolist())
        crashpoints.reach("flags-before-commit")
    log.info("gold flagged", project=project_id, challenges=len(answered), holders=int(holders.sum()))
