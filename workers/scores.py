"""Scores: is this respondent competent, given all that was seen of it in a batch and before?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from consensus.answers import Answers
from consensus.competence import believe, remembered, vouched
from consensus.reliability import Skill
from consensus.votes import pin
from db import scores as score_rows
from db.scores import NewScores
from db.writes import Writes
from workers.locked import Locked
from workers.revision import Revised
from workers.scheme import Scheme, tensor
from workers.standing import Standing

Ints = npt.NDArray[np.int64]

CHUNK = 512
"""Sittings that are weighed at once."""


@dataclass(frozen=True, slots=True)
class Sittings:
    """S sittings, batches or sessions of them of one respondent each, and the M answers of theirs that count."""

    batch_id: Ints
    """(S,)"""
    respondent_id: Ints
    session: list[str]
    answers: Answers
    """By sitting, which stand for annotators here."""
    seat: Ints
    """(M,) the sitting of each, ascending."""
    right: Tensor
    """(M,) the probability that each is right, by all others' answers."""
    statistics: Tensor
    """(S, width) what is known of the respondent without the sitting."""


def sittings(
    scheme: Scheme,
    locked: Locked,
    fresh: slice,
    sessions: Mapping[int, str],
    revised: Revised,
    standing: Standing,
    device: torch.device,
) -> Sittings:
    """The sittings in new answers, under the statistics that now hold. Few answers count as if nothing were gold.

    Args:
        fresh: which of the locked challenges' answers are new; those of a batch stand together.
        sessions: by index among the new answers, where the client named one.
        standing: of everybody who answered these challenges, with the new answers.
    """
    ids, annotator = locked.answers.batch_id[fresh], locked.annotator[fresh]
    names = ["", *sorted(set(sessions.values()) - {""})]
    key = np.cumsum(np.diff(ids, prepend=ids[:1]) != 0) * len(locked.respondents) + annotator
    session = np.zeros(len(ids), dtype=np.int64)
    if sessions:
        codes = {name: code for code, name in enumerate(names)}
        session[list(sessions)] = [codes[name] for name in sessions.values()]
        key = key * len(names) + session
    order = np.argsort(key, kind="stable")  # by sitting
    opens = np.diff(key[order], prepend=-1) != 0
    first = order[opens]

    new = np.flatnonzero(revised.rows >= fresh.start)  # all that count were inferred from
    heard = np.full(len(ids), -1)
    heard[revised.rows[new] - fresh.start] = new
    heard = heard[order]
    counts = heard >= 0
    seat, person = (np.cumsum(opens) - 1)[counts], annotator[first]
    answers, right, statistics = _apart(
        scheme, tensor(heard[counts], device), tensor(seat, device), tensor(person, device), locked, revised, standing
    )
    owner, named = locked.respondents[person], [names[code] for code in session[first].tolist()]
    return Sittings(ids[first], owner, named, answers, seat, right, statistics)


def give(writes: Writes, sittings: Sittings, skill: Skill) -> None:
    """Score the respondent of every sitting: what was known without it, and the sitting."""
    size, answers, right = len(sittings.batch_id), sittings.answers, sittings.right
    if size <= CHUNK:
        found = torch.stack(believe(skill, answers, right).summary())
    else:
        bounds = np.searchsorted(sittings.seat, np.arange(0, size + CHUNK, CHUNK)).tolist()
        parts = []
        for start, first, last in zip(range(0, size, CHUNK), bounds, bounds[1:], strict=False):
            some = slice(start, start + CHUNK)
            known = Skill(skill.accuracy[some], skill.low[some], skill.high[some])
            here = Answers(
                answers.item[first:last],
                answers.annotator[first:last] - start,
                answers.label[first:last],
                answers.I,
                len(known.accuracy),
                answers.K,
            )
            parts.append(torch.stack(believe(known, here, right[first:last]).summary()))
        found = torch.cat(parts, 1)
    score_rows.write(
        writes,
        NewScores(
            sittings.batch_id,
            sittings.respondent_id,
            sittings.session,
            np.bincount(sittings.seat, minlength=size),
            *found.cpu().numpy(),
        ),
    )


def _apart(
    scheme: Scheme,
    mine: Tensor,
    seat: Tensor,
    owner: Tensor,
    locked: Locked,
    revised: Revised,
    standing: Standing,
) -> tuple[Answers, Tensor, Tensor]:
    """`Sittings.answers`, `right` and `statistics`.

    Args:
        mine: (M,) places of answers among those heard, by sitting.
        seat: (M,) the sitting of each of these.
        owner: (S,) the annotator of each sitting.
    """
    veiled, once, answers, posterior = standing.veiled, scheme.grading.repeats != "all", revised.heard, revised.counts
    before = revised.standing.veiled.seen
    right = vouched(scheme.model, answers, mine, before, scheme.prior, form=scheme.form, once=once, found=revised.found)
    item, label = answers.item[mine], answers.label[mine]
    places = revised.places
    gold = np.where(revised.moved[places], locked.gold[places], locked.counted_as[places])
    if (gold >= 0).any():
        pinned = tensor(gold, posterior.device)
        known = veiled.many[answers.annotator[mine]]
        right = torch.where(known & (pinned[item] >= 0), (pinned[item] == label).to(right.dtype), right)
        posterior = torch.cat([posterior, pin(posterior, pinned)])  # as U counts the items, and as S does
        item = item + answers.I * known
    here = Answers(item, seat, label, len(posterior), len(owner), answers.K)
    seen = torch.where(veiled.many[owner, None], veiled.clamped[owner], veiled.open[owner])
    return here, right, remembered(here, posterior, seen, form=scheme.form)
