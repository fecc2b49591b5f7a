"""Scores: is this respondent competent, given all that was seen of it in a batch and before?"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
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

Bools = npt.NDArray[np.bool_]

CHUNK = 2048
"""Sittings that are weighed at once."""


def give(
    writes: Writes,
    scheme: Scheme,
    locked: Locked,
    counted: Bools,
    fresh: slice,
    sessions: Mapping[int, str],
    revised: Revised,
    standing: Standing,
    device: torch.device,
) -> None:
    """Score every respondent of every sitting in the new answers, under the statistics that now hold.

    A sitting is a batch, or a session of it. Whoever has few answers is scored as if nothing were gold.

    Args:
        counted: (N,) which of `locked.answers` count from now on.
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

    told = counted & (answers.choice >= 0)
    new = np.zeros(len(told), dtype=bool)
    new[fresh] = True
    everything = Answers(
        tensor(locked.item[told], device),
        tensor(locked.annotator[told], device),
        tensor(scheme.places(answers.choice[told]), device),
        len(locked.ids),
        respondents,
        scheme.classes,
    )
    seat = tensor(sitting[told[fresh]], device)
    owner = tensor(person, device)
    found = _weigh(scheme, everything, tensor(new[told], device), seat, owner, locked, revised, standing, device)
    score_rows.write(
        writes,
        NewScores(
            batches[batch],
            locked.respondents[person],
            [names[code] for code in session],
            np.bincount(seat.cpu().numpy(), minlength=len(batch)),
            *found.cpu().numpy(),
        ),
    )


def _weigh(
    scheme: Scheme,
    answers: Answers,
    new: Tensor,
    seat: Tensor,
    owner: Tensor,
    locked: Locked,
    revised: Revised,
    standing: Standing,
    device: torch.device,
) -> Tensor:
    """(3, S) score, low and high of each sitting.

    Args:
        new: (N,) bool, M of the answers.
        seat: (M,) the sitting of each of these.
        owner: (S,) the annotator of each sitting.
    """
    veiled = standing.veiled
    seen = veiled.seen
    right = vouched(scheme.model, answers, new, seen, scheme.prior, form=scheme.form)
    item, label = answers.item[new], answers.label[new]
    gold = tensor(np.where(revised.moved, locked.gold, locked.counted_as), device)
    known = veiled.many[answers.annotator[new]]
    right = torch.where(known & (gold[item] >= 0), (gold[item] == label).to(right.dtype), right)
    raw = tensor(revised.raw, device)
    posterior = torch.cat([raw, pin(raw, gold)])  # as U counts the items, and as S does
    item = item + answers.I * known
    statistics = seen[owner]
    parts = []
    for start in range(0, len(owner), CHUNK):
        here = (seat >= start) & (seat < start + CHUNK)
        some = statistics[start : start + CHUNK]
        judged = weigh(
            scheme.model,
            Answers(item[here], seat[here] - start, label[here], 2 * answers.I, len(some), answers.K),
            right[here],
            posterior,
            some,
            scheme.prior,
            form=scheme.form,
        )
        parts.append(torch.stack([judged.score, judged.low, judged.high]))
    return torch.cat(parts, 1)
