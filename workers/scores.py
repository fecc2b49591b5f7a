"""Scores: is this respondent competent, given all that was seen of it in a batch and before?"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.competence import vouched, weigh
from consensus.votes import pin
from db import scores as score_rows
from db.scores import NewScores
from db.writes import Writes
from workers.locked import Locked
from workers.revision import Revised
from workers.scheme import Scheme, tensor
from workers.standing import Standing

CHUNK = 512
"""Sittings that are weighed at once."""


def give(
    writes: Writes,
    scheme: Scheme,
    locked: Locked,
    fresh: slice,
    sessions: Mapping[int, str],
    revised: Revised,
    standing: Standing,
    device: torch.device,
) -> None:
    """Score every respondent of every sitting in the new answers, under the statistics that now hold.

    A sitting is a batch, or a session of it. Whoever has few answers is scored as if nothing were gold.

    Args:
        standing: of everybody who answered these challenges, with the new answers.
        fresh: which of them are new.
        sessions: by index among the new answers, where the client named one.
    """
    answers = locked.answers
    batches, batch = np.unique(answers.batch_id[fresh], return_inverse=True)
    names = ["", *sorted(set(sessions.values()) - {""})]
    codes = {name: code for code, name in enumerate(names)}
    session = np.zeros(len(batch), dtype=np.int64)
    session[list(sessions)] = [codes[name] for name in sessions.values()]
    respondents = len(locked.respondents)
    sittings, sitting = np.unique(
        (batch * respondents + locked.annotator[fresh]) * len(names) + session, return_inverse=True
    )
    sittings, session = np.divmod(sittings, len(names))
    batch, person = np.divmod(sittings, respondents)

    new = np.flatnonzero(revised.rows >= fresh.start)  # all that count were inferred from
    seat = sitting[revised.rows[new] - fresh.start]
    order = np.sort(seat * len(seat) + np.arange(len(seat))) % max(len(seat), 1)  # by sitting
    mine, owner = tensor(new[order], device), tensor(person, device)
    found = _weigh(scheme, mine, tensor(seat[order], device), owner, locked, revised, standing, device)
    score_rows.write(
        writes,
        NewScores(
            batches[batch],
            locked.respondents[person],
            [names[code] for code in session],
            np.bincount(seat, minlength=len(batch)),
            *found.cpu().numpy(),
        ),
    )


def _weigh(
    scheme: Scheme,
    mine: Tensor,
    seat: Tensor,
    owner: Tensor,
    locked: Locked,
    revised: Revised,
    standing: Standing,
    device: torch.device,
) -> Tensor:
    """(3, S) score, low and high of each sitting.

    Args:
        mine: (M,) places of answers, by sitting.
        seat: (M,) the sitting of each of these, ascending.
        owner: (S,) the annotator of each sitting.
    """
    veiled, once, answers, places = standing.veiled, scheme.grading.repeats != "all", revised.heard, revised.places
    before = revised.standing.veiled.seen
    right = vouched(scheme.model, answers, mine, before, scheme.prior, form=scheme.form, once=once, found=revised.found)
    seen = veiled.seen
    item, label = answers.item[mine], answers.label[mine]
    posterior = tensor(revised.raw[places], device)
    gold = np.where(revised.moved, locked.gold, locked.counted_as)[places]
    if (gold >= 0).any():
        pinned = tensor(gold, device)
        known = veiled.many[answers.annotator[mine]]
        right = torch.where(known & (pinned[item] >= 0), (pinned[item] == label).to(right.dtype), right)
        posterior = torch.cat([posterior, pin(posterior, pinned)])  # as U counts the items, and as S does
        item = item + answers.I * known
    statistics, items = seen[owner], len(posterior)
    parts = []
    sizes = torch.bincount(seat // CHUNK, minlength=-(-len(owner) // CHUNK)).tolist()
    for number, part in enumerate(zip(*(column.split(sizes) for column in (item, seat, label, right)), strict=True)):
        start = number * CHUNK
        some = statistics[start : start + CHUNK]
        judged = weigh(
            scheme.model,
            Answers(part[0], part[1] - start, part[2], items, len(some), answers.K),
            part[3],
            posterior,
            some,
            scheme.prior,
            form=scheme.form,
        )
        parts.append(torch.stack([judged.score, judged.low, judged.high]))
    return torch.cat(parts, 1)
